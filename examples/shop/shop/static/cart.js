// The cart lives in the page until it is ordered. Its id is made here, once: an order sent again is the same order.
const order = document.querySelector("#order");
let cart = newCart();

function newCart() {
  return { id: `${Date.now()}-${Math.random().toString(36).slice(2)}`, items: [] };
}

function show(text) {
  order.disabled = cart.items.length === 0;
  order.textContent = text;
}

for (const button of document.querySelectorAll("[data-slug]")) {
  button.addEventListener("click", () => {
    cart.items.push(button.dataset.slug);
    show(`Order ${cart.items.length}`);
  });
}

order.addEventListener("click", async () => {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch("/orders", { method: "POST", headers, body: JSON.stringify(cart) }).catch(() => null);
  if (!answer?.ok) return show("That didn't go through: order again");
  cart = newCart();
  show("Thank you");
  const { count } = await (await fetch("/orders/count")).json();
  document.querySelector("#orders").textContent = count;
});
