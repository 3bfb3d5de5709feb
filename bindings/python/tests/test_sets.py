"""Sets and images on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

import dmtcp
from conftest import LIMIT, StartWorker


@pytest.fixture
def state(start_worker: StartWorker, tmp_path: Path) -> Path:
    """A state directory with three sets."""
    state = tmp_path / "state"
    with dmtcp.Server() as server, dmtcp.SetStore(state) as store:
        with server.open(sets=store) as computation:
            start_worker(computation, "until_told", tmp_path / "stop")
            computation.wait_until_running(1, LIMIT)
            for _ in range(3):
                computation.checkpoint(LIMIT)
    return state


def test_sets_are_listed_verified_and_kept_few(state: Path) -> None:
    assert [one.sequence for one in dmtcp.SetStore.peek(state)] == [3, 2, 1]
    with dmtcp.SetStore(state) as store:
        with pytest.raises(dmtcp.SetError) as raised:
            dmtcp.SetStore.open(state)
        assert (raised.value.slug, raised.value.fault) == ("owned", "caller")
        sets = store.list()
        assert sets.broken == [] and sets[0] == dmtcp.CheckpointSet(sets[0].directory)
        image = sets[0].images[0]
        content = bytearray(image.read_bytes())
        content[-10] ^= 1
        image.write_bytes(content)
        with pytest.raises(dmtcp.SetError) as raised:
            sets[0].verify()
        assert raised.value.slug == "checksum" and image.name in str(raised.value)
        sets[0].verify(sizes_only=True)
        newest = store.newest_verified()
        assert newest is not None and newest.sequence == 2
        oldest = store.newest_verified(before=2)
        assert oldest is not None and oldest.sequence == 1
        assert store.newest_verified(before=1) is None
        would = store.retain(last=1, dry_run=True)
        assert [one["sequence"] for one in would.removed] == [1]
        assert would.removed_bytes == sets[2].total_bytes
        assert [one["why"] for one in store.prune(1).removed] == ["no-rule-keeps"]
        assert len(store.list()) == 2
        assert store.sweep() == []
    with pytest.raises(dmtcp.SetError) as raised:
        store.list()
    assert raised.value.slug == "closed"
    dmtcp.SetStore(state).close()


def test_a_set_moves_as_one_file(state: Path, tmp_path: Path) -> None:
    one = dmtcp.SetStore.peek(state)[0]
    assert one.incompatibility() is None
    archive = tmp_path / "set.tar"
    assert one.pack(archive) == archive.stat().st_size
    with dmtcp.SetStore(tmp_path / "elsewhere") as store:
        moved = store.unpack(archive)
        moved.verify()
        assert moved.manifest["packed_as"] == 3 and moved.sequence == 1
        archive.write_bytes(archive.read_bytes()[:-2000])
        with pytest.raises(dmtcp.SetError):
            store.unpack(archive)
    staged = one.stage_into(tmp_path / "staged")
    assert [path.name for path in staged] == [path.name for path in one.images]


def test_images_say_what_is_in_them(state: Path, tmp_path: Path) -> None:
    image = dmtcp.SetStore.peek(state)[0].images[0]
    inspection = dmtcp.inspect(image)
    assert inspection.whole and inspection.fault_slug is None
    native = inspection.facts["native"]
    assert native["args"][0].endswith("until_told.py")
    assert "python" in inspection._repr_html_()
    image.write_bytes(image.read_bytes()[:-1])
    assert dmtcp.inspect(image).fault_slug == "image-cut"
    (tmp_path / "text").write_text("no image at all\n" * 1000)
    with pytest.raises(dmtcp.SetError) as raised:
        dmtcp.inspect(tmp_path / "text")
    assert raised.value.slug == "not-an-image"
    with pytest.raises(dmtcp.SetError) as raised:
        dmtcp.CheckpointSet(tmp_path)
    assert raised.value.slug == "no-manifest"
