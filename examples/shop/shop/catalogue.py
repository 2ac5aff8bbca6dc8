"""What the shop sells."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Product:
    slug: str
    name: str
    note: str
    pence: int

    @property
    def price(self) -> str:
        return f"£{self.pence / 100:.2f}"


PRODUCTS = (
    Product("assam", "Assam Second Flush", "Malt, honey, and a good reason to get up.", 650),
    Product("earl-grey", "Earl Grey", "Bergamot from Calabria, cornflowers for the eye.", 590),
    Product("sencha", "Sencha", "Steamed, green, and gone before it cools.", 820),
    Product("oolong", "Iron Goddess Oolong", "Orchids first; the sixth cup is still worth it.", 1150),
    Product("rooibos", "Rooibos", "For after ten in the evening.", 480),
    Product("mint", "Moroccan Mint", "Gunpowder tea and more mint than seems wise.", 520),
)


def find_product(slug: str) -> Product | None:
    return next((product for product in PRODUCTS if product.slug == slug), None)
