"""What the shop sells, how long it steeps, and an index to find it by."""

import os
import time
from dataclasses import dataclass
from datetime import timedelta

import humanize


@dataclass(frozen=True)
class Product:
    slug: str
    name: str
    note: str
    pence: int
    minutes: int

    @property
    def price(self) -> str:
        return f"£{self.pence / 100:.2f}"

    @property
    def steeps_for(self) -> str:
        return humanize.naturaldelta(timedelta(minutes=self.minutes))

    @property
    def words(self) -> set[str]:
        return {word.strip(".,;").lower() for word in f"{self.name} {self.note}".split()}


PRODUCTS = (
    Product("assam", "Assam Second Flush", "Malt, honey, and a good reason to get up.", 650, 4),
    Product("earl-grey", "Earl Grey", "Bergamot from Calabria, cornflowers for the eye.", 590, 3),
    Product("sencha", "Sencha", "Steamed, green, and gone before it cools.", 820, 1),
    Product("oolong", "Iron Goddess Oolong", "Orchids first; the sixth cup is still worth it.", 1150, 2),
    Product("rooibos", "Rooibos", "For after ten in the evening.", 480, 6),
    Product("mint", "Moroccan Mint", "Gunpowder tea and more mint than seems wise.", 520, 5),
)


def find_product(slug: str) -> Product | None:
    return next((product for product in PRODUCTS if product.slug == slug), None)


def search(text: str) -> list[Product]:
    """The products that have every word of `text`; all of them for none."""
    wanted = text.lower().split()
    return [product for product in PRODUCTS if all(product in INDEX.get(word, ()) for word in wanted)]


def build_index() -> dict[str, list[Product]]:
    words = set().union(*(product.words for product in PRODUCTS))
    return {word: [product for product in PRODUCTS if word in product.words] for word in words}


def warm_catalogue(seconds: float) -> dict[str, list[Product]]:
    """Index the catalogue, at the pace of a large one: half of the time computing, half waiting for suppliers."""
    until = time.process_time() + seconds / 2
    index = build_index()
    while time.process_time() < until:
        index = build_index()
    time.sleep(seconds / 2)
    return index


INDEX = warm_catalogue(float(os.environ.get("SHOP_IMPORT_SECONDS", "3")))
