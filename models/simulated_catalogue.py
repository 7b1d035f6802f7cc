"""The catalogue of the simulated shop: items, prices in EUR, and which items shoppers want together.

`KITS` is the planted truth of the demo: a shopper who comes for an anchor (the key) often wants some of its
complements too. What a suggestion service finds can be compared with it.
"""

__all__ = ["KITS", "POPULAR", "PRICES", "complements_of"]

#: Every item with its price, by category; ids are what a reader of the demo sees.
_CATEGORIES: dict[str, dict[str, float]] = {
    "coffee": {
        "coffee-grinder": 89.0,
        "espresso-machine": 349.0,
        "coffee-beans-1kg": 18.9,
        "filter-papers": 4.5,
        "milk-frother": 24.9,
        "espresso-cups": 22.0,
        "descaler": 7.9,
    },
    "tea": {"teapot": 29.9, "green-tea": 8.5, "earl-grey": 7.9, "tea-infuser": 6.9, "honey": 6.5},
    "baking": {
        "stand-mixer": 299.0,
        "bread-flour-5kg": 9.8,
        "dry-yeast": 3.2,
        "bread-tin": 14.9,
        "cake-tin": 16.9,
        "piping-bags": 8.9,
        "baking-paper": 3.9,
    },
    "kitchen": {
        "chef-knife": 79.0,
        "cutting-board": 32.0,
        "sharpening-stone": 39.0,
        "wok": 45.0,
        "sesame-oil": 5.9,
        "wok-spatula": 9.9,
        "jasmine-rice": 6.4,
    },
    "garden": {
        "raised-bed": 99.0,
        "potting-soil-40l": 11.9,
        "tomato-seeds": 2.9,
        "watering-can": 17.5,
        "plant-labels": 4.2,
        "barbecue": 189.0,
        "charcoal-10kg": 14.9,
        "grill-tongs": 12.5,
        "grill-brush": 9.9,
    },
    "cycling": {
        "road-bike": 899.0,
        "bike-helmet": 69.0,
        "bike-lock": 49.0,
        "bike-lights": 34.9,
        "bottle-cage": 8.9,
        "child-seat": 119.0,
        "child-helmet": 39.9,
        "rain-cover": 29.9,
    },
    "camping": {
        "tent-2p": 229.0,
        "tent-pegs": 9.9,
        "groundsheet": 24.9,
        "sleeping-bag": 119.0,
        "sleeping-mat": 49.0,
        "inflatable-pillow": 14.9,
        "camping-stove": 54.0,
        "gas-cartridge": 6.9,
        "cooking-pot-set": 39.0,
    },
    "sport": {
        "running-shoes": 139.0,
        "running-socks": 14.9,
        "running-belt": 24.9,
        "blister-plasters": 5.9,
        "yoga-mat": 39.9,
        "yoga-blocks": 16.9,
        "yoga-strap": 8.9,
        "swim-goggles": 22.9,
        "swim-cap": 7.9,
        "ear-plugs": 4.9,
    },
    "photo": {
        "mirrorless-camera": 949.0,
        "memory-card-128gb": 29.9,
        "camera-bag": 59.0,
        "spare-battery": 44.0,
        "lens-cloth": 6.9,
    },
    "office": {
        "laser-printer": 179.0,
        "toner-black": 64.0,
        "printer-paper": 5.9,
        "usb-cable": 8.9,
        "standing-desk": 429.0,
        "monitor-arm": 89.0,
        "anti-fatigue-mat": 54.0,
        "cable-tray": 19.9,
    },
    "pets": {
        "puppy-bed": 44.9,
        "puppy-food-3kg": 19.9,
        "dog-lead": 17.9,
        "chew-toy": 8.5,
        "aquarium-60l": 129.0,
        "aquarium-gravel": 9.9,
        "water-conditioner": 7.5,
        "fish-food": 5.5,
    },
    "crafts": {
        "acrylic-paints": 34.9,
        "brush-set": 18.9,
        "canvas-pack": 21.9,
        "sewing-machine": 219.0,
        "thread-set": 15.9,
        "fabric-scissors": 19.9,
        "bobbins": 6.5,
        "knitting-needles": 9.9,
        "merino-yarn": 12.9,
        "stitch-markers": 3.9,
    },
    "music": {
        "acoustic-guitar": 249.0,
        "guitar-strings": 11.9,
        "guitar-tuner": 16.9,
        "guitar-strap": 19.9,
        "turntable": 299.0,
        "record-brush": 14.9,
        "slipmat": 12.9,
        "phono-cable": 18.9,
    },
    "tools": {
        "cordless-drill": 129.0,
        "drill-bits": 24.9,
        "wall-plugs": 5.9,
        "spirit-level": 15.9,
        "wall-paint-10l": 59.0,
        "paint-roller": 9.9,
        "masking-tape": 4.5,
        "dust-sheet": 3.9,
    },
    "popular": {
        "gift-card": 25.0,
        "tote-bag": 9.9,
        "phone-charger": 19.9,
        "led-bulbs": 8.9,
        "aa-batteries": 7.9,
        "water-bottle": 14.9,
        "paperback-bestseller": 12.9,
        "scented-candle": 16.9,
        "umbrella": 19.9,
        "hand-cream": 5.9,
        "socks-3-pack": 9.9,
        "chocolate-bar": 2.9,
    },
}

#: Price in EUR of every item.
PRICES: dict[str, float] = {item: price for shelf in _CATEGORIES.values() for item, price in shelf.items()}

#: Items that everyone looks at and that belong to nothing: a weak model suggests them everywhere.
POPULAR: tuple[str, ...] = tuple(_CATEGORIES["popular"])

#: The planted truth: anchor to its complements, most wanted first.
KITS: dict[str, tuple[str, ...]] = {
    "coffee-grinder": ("coffee-beans-1kg", "filter-papers", "descaler"),
    "espresso-machine": ("coffee-beans-1kg", "milk-frother", "espresso-cups", "descaler"),
    "teapot": ("green-tea", "earl-grey", "tea-infuser", "honey"),
    "stand-mixer": ("cake-tin", "piping-bags", "baking-paper"),
    "bread-tin": ("bread-flour-5kg", "dry-yeast", "baking-paper"),
    "chef-knife": ("cutting-board", "sharpening-stone"),
    "wok": ("wok-spatula", "sesame-oil", "jasmine-rice"),
    "raised-bed": ("potting-soil-40l", "tomato-seeds", "watering-can", "plant-labels"),
    "barbecue": ("charcoal-10kg", "grill-tongs", "grill-brush"),
    "road-bike": ("bike-helmet", "bike-lock", "bike-lights", "bottle-cage"),
    "child-seat": ("child-helmet", "rain-cover"),
    "tent-2p": ("groundsheet", "tent-pegs", "sleeping-mat"),
    "sleeping-bag": ("sleeping-mat", "inflatable-pillow"),
    "camping-stove": ("gas-cartridge", "cooking-pot-set"),
    "running-shoes": ("running-socks", "running-belt", "blister-plasters"),
    "yoga-mat": ("yoga-blocks", "yoga-strap"),
    "swim-goggles": ("swim-cap", "ear-plugs"),
    "mirrorless-camera": ("memory-card-128gb", "camera-bag", "spare-battery", "lens-cloth"),
    "laser-printer": ("toner-black", "printer-paper", "usb-cable"),
    "standing-desk": ("monitor-arm", "anti-fatigue-mat", "cable-tray"),
    "puppy-bed": ("puppy-food-3kg", "dog-lead", "chew-toy"),
    "aquarium-60l": ("aquarium-gravel", "water-conditioner", "fish-food"),
    "acrylic-paints": ("canvas-pack", "brush-set"),
    "sewing-machine": ("thread-set", "fabric-scissors", "bobbins"),
    "knitting-needles": ("merino-yarn", "stitch-markers"),
    "acoustic-guitar": ("guitar-strings", "guitar-tuner", "guitar-strap"),
    "turntable": ("record-brush", "slipmat", "phono-cable"),
    "cordless-drill": ("drill-bits", "wall-plugs", "spirit-level"),
    "wall-paint-10l": ("paint-roller", "masking-tape", "dust-sheet"),
}


def complements_of() -> dict[str, frozenset[str]]:
    """Return, for every item, the items planted to be wanted with it.

    Being wanted together has no direction: an anchor goes with its complements, they go with it and with each
    other. A popular item goes with nothing.

    Examples
    --------
    >>> sorted(complements_of()["yoga-blocks"])
    ['yoga-mat', 'yoga-strap']
    >>> complements_of()["gift-card"]
    frozenset()
    """
    found: dict[str, set[str]] = {item: set() for item in PRICES}
    for anchor, complements in KITS.items():
        kit = {anchor, *complements}
        for item in kit:
            found[item] |= kit - {item}
    return {item: frozenset(others) for item, others in found.items()}
