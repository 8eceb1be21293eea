"""What a list of records can be narrowed to, counted by and sorted by, and tags, on both databases."""

import pytest
import sqlalchemy as sa
import storage_examples as examples

from core.errors import NotFound
from storage import counter, listing, records, tags
from storage.tables import metadata

RECORDS = metadata.tables["records"]


def put(database, record_id, **values):
    with database.write() as tx:
        tx.execute(sa.update(RECORDS).where(RECORDS.c.id == record_id).values(values))


def tag(database, record_id, *words):
    with database.write() as tx:
        tags.set_tags(tx, record_id, words)


def ids(database, **asked):
    with database.read() as tx:
        assert listing.count_records(tx, **{k: v for k, v in asked.items() if k != "sort"}) == len(
            found := listing.list_records(tx, limit=99, **asked)
        )
        return [row["id"] for row in found]


@pytest.fixture
def three(database):
    """A session, a measurement and a fine-tune, made an hour apart and named."""
    made = (
        examples.new_session(database, name="Figure 2"),
        examples.new_measurement(database),
        examples.new_run(database),
    )
    for hours, record_id in enumerate(made):
        put(database, record_id, created_at=3600.0 * hours)
    return made


def test_records_are_narrowed_by_reward_tag_and_time(database, three):
    session, measured, trained = three
    tag(database, session, "talk", "Größe")
    tag(database, trained, "talk")
    assert ids(database, reward="size") == [measured, session] and ids(database, reward="clip") == list(three)[::-1]
    assert ids(database, reward="cli") == ids(database, reward='clip","size') == ids(database, reward="%") == []
    assert ids(database, tag="talk") == [trained, session] and ids(database, tag="Größe") == [session]
    assert ids(database, tag="tal") == []
    assert ids(database, since=3600.0) == [trained, measured] and ids(database, until=3600.0) == [session]
    assert ids(database, since=1.0, until=7200.0) == [measured]
    assert ids(database, tag="talk", kind="train", reward="verifier") == [trained]


def test_every_word_must_occur_wherever_it_stands(database, three):
    session, measured, _ = three
    put(database, session, note="The one for the ÄRGER talk")
    assert ids(database, text="circle figure") == ids(database, text="  FIGURE\n red ärger ") == [session]
    assert ids(database, text="figure measured") == ids(database, text="2circle") == []
    assert ids(database, text=measured) == [measured], "an id is found as well"
    assert ids(database, text=" ".join("abcdefghijklmnop")) == [], "many words are looked for, too"


def test_records_are_sorted_by_what_was_gained(database, three):
    session, measured, trained = three
    worse, unknown = examples.new_session(database), examples.new_session(database)
    put(database, session, headline={"search": 0.75, "no_search": 0.5})
    put(database, worse, headline={"search": 0.1, "no_search": 0.5})
    put(database, unknown, headline={"search": 0.9, "no_search": None})
    put(database, trained, headline={"heldout_ema": [0.25, 0.375], "heldout": [0.0, 1.0]})
    order = [session, trained, worse, unknown, measured]
    assert ids(database, sort="gain") == order
    pages, last = [], None
    with database.read() as tx:
        while page := listing.list_records(tx, limit=2, before=last, sort="gain"):
            pages += [row["id"] for row in page]
            last = pages[-1]
    assert pages == order
    put(database, trained, headline={"heldout": [0.0, 1.0]})
    assert ids(database, sort="gain")[0] == trained, "without an averaged model the plain one counts"


def test_what_can_be_filtered_by_is_counted(database, three):
    session, measured, trained = three
    other = examples.new_session(database)
    put(database, other, deleted_at=1.0, preset="thrown")
    tag(database, session, "b", "a")
    tag(database, trained, "b")
    tag(database, other, "gone")
    with database.read() as tx:
        found, thrown = listing.facets(tx), listing.facets(tx, trash=True)
    assert found["kind"] == {"reliability": 1, "session": 1, "train": 1} and found["state"] == {"pending": 3}
    assert list(found["reward"].items()) == [("clip", 3), ("verifier", 3), ("size", 2)]
    assert list(found["tag"].items()) == [("b", 2), ("a", 1)]
    assert "reliability" not in found["preset"], "a measurement has none"
    assert thrown["preset"] == {"thrown": 1} and thrown["tag"] == {"gone": 1}
    put(database, other, erased=True)
    with database.read() as tx:
        assert not any(listing.facets(tx, trash=True).values())


def test_tags_are_set_added_taken_away_and_listed(database, three):
    session, measured, trained = three
    with database.read() as tx:
        before = counter.last_seq(tx, session)
    tag(database, session, "b", "a", "b")
    with database.write() as tx:
        assert tags.add_and_remove(tx, session, ["c", "a"], ["b", "none"]) == ["a", "c"]
        assert tags.add_and_remove(tx, trained, [], ["none"]) == []
    with database.read() as tx:
        assert records.get_record(tx, session)["tags"] == ["a", "c"]
        assert [row["tags"] for row in records.list_records(tx, limit=9)] == [[], [], ["a", "c"]]
        assert counter.last_seq(tx, session) > before, "open pages hear of it"
    for unknown in ("nothing", "../x"):
        with pytest.raises(NotFound):
            tag(database, unknown, "a")


def test_tags_go_with_their_record(database, three):
    tag(database, three[0], "a")
    with database.write() as tx:
        records.trash(tx, three[0])
        assert records.in_trash(tx) == [three[0]]
        records.erase(tx, three[0])
        assert records.in_trash(tx) == []
        while records.remove_rows(tx, three[0]):
            pass
    with database.read() as tx:
        assert tx.scalar(sa.select(sa.func.count()).select_from(metadata.tables["tags"])) == 0
