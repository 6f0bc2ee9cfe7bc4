"""A short run of `tests.audio.fuzz`, and bytes that Hypothesis thinks of."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routeraudio.model.audio import Encoding
from tests.audio.fuzz import corpus, examine, mutants
from tests.audio.made import CONTAINERS


@pytest.mark.parametrize("encoding", CONTAINERS)
def test_the_corpus_is_heard(encoding: Encoding) -> None:
    """What mutants are made from is sound: otherwise they would test nothing."""
    assert {examine(encoding, data) for data in corpus(encoding)} == {"heard"}


@pytest.mark.parametrize("encoding", CONTAINERS)
def test_mutants_do_no_harm(encoding: Encoding) -> None:
    """Damaged streams are heard in part or refused, the same however they are cut, and nothing else happens."""
    outcomes = {examine(encoding, data, number) for number, data in enumerate(mutants(encoding, 300))}
    assert outcomes >= {"heard", "refused"}


MAGIC = {"ogg_opus": b"OggS\0", "webm": b"\x1a\x45\xdf\xa3", "mp3": b"\xff\xfb"}


@pytest.mark.parametrize("encoding", CONTAINERS)
@given(st.data())
@settings(deadline=None, max_examples=60)
def test_any_bytes_do_no_harm(encoding: Encoding, data: st.DataObject) -> None:
    """Whatever follows a good beginning, or a bad one."""
    start = data.draw(st.sampled_from([b"", MAGIC[encoding], *(seed[:300] for seed in corpus(encoding))]))
    examine(
        encoding,
        start + data.draw(st.binary(max_size=400)) + data.draw(st.sampled_from([b"", MAGIC[encoding]])),
    )
