"""Readers of publishers' raw files: one format per file, each streamed in one pass.

A reader takes the files of its data set by role and a `BadLines`, and gives `Events`; a reader of
metadata takes the items that are wanted and gives their `ItemContent`. Ids are text throughout.
"""

from urecjpq.data.raw import amazon, booking, gowalla, lastfm, movielens, yelp
from urecjpq.data.raw.events import Events
from urecjpq.data.raw.lines import BadLines
from urecjpq.data.raw.text import ItemContent

EVENTS = {
    "amazon-reviews": amazon.read_reviews,
    "amazon-reviews-2023": amazon.read_reviews_2023,
    "amazon-ratings": amazon.read_ratings,
    "amazon-ratings-2018": amazon.read_ratings_2018,
    "movielens-tabs": movielens.read_tabs,
    "movielens-colons": movielens.read_colons,
    "movielens-csv": movielens.read_csv,
    "gowalla": gowalla.read_check_ins,
    "booking": booking.read_trips,
    "yelp": yelp.read_reviews,
    "lastfm": lastfm.read_plays,
}
"""How interactions are read, by the name that cards use."""

ITEMS = {
    "amazon-2014": amazon.read_metadata_2014,
    "amazon-2018": amazon.read_metadata_2018,
    "amazon-2023": amazon.read_metadata_2023,
    "movielens-bars": movielens.read_items_bars,
    "movielens-colons": movielens.read_items_colons,
    "movielens-csv": movielens.read_items_csv,
    "yelp": yelp.read_businesses,
}
"""How items are described, by the name that cards use."""

__all__ = ["EVENTS", "ITEMS", "BadLines", "Events", "ItemContent"]
