"""Deepgram `/v1/listen`: continuous transcription (nova-3 and older).

One utterance arrives as one or several settled pieces, as with the real service, where a piece covers
some three to five seconds. Spans tile the timeline: each message starts where the last settled one ended.
Guesses: the `speech_final` of a final that `Finalize` or the end of the stream caused (false here), the
empty final that closes a stream, and what follows unknown text messages (an Error and close 1008).
"""

import datetime
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Final, NoReturn

import msgspec
import trio

from routeraudio.emulators.deepgram.query import KEYTERM_TOKENS_MAX, RAW_ENCODINGS, ListenQuery, count_tokens
from routeraudio.emulators.kit.base import Heard, HeardWord
from routeraudio.emulators.kit.call import Call
from routeraudio.emulators.kit.intake import Intake, open_intake
from routeraudio.emulators.kit.prose import as_prose
from routeraudio.emulators.kit.sound import ContainerFormat, Format, PacketFormat, RawFormat, Undecodable

UNDECODABLE: Final = (1008, "DATA-0000: the audio cannot be decoded")

BROKEN_MESSAGE: Final = '{"type":"Results","channel_index":"first","start":"soon","is_final":[],"channel":42}'

PIECE_MS: Final = 4000
"""Utterances longer than this are settled in pieces (vendor: every three to five seconds)."""

ENDPOINTING_OFF_MS: Final = 500
"""How the recogniser cuts when the client switched endpointing off: text must settle some time."""

Json = dict[str, Any]


class Listen:
    """One conversation.

    Args:
        idle_s: without audio or KeepAlive for this long the stream is closed; the vendor's number is 10.
    """

    def __init__(self, call: Call, query: ListenQuery, *, idle_s: float) -> None:
        self._call = call
        self._query = query
        self._idle_s = idle_s
        total = query.channels if query.multichannel and query.encoding is not None else 1
        self._channels = [Channel(index, total, query, call.request.id) for index in range(total)]
        self._keyterms: Sequence[str] = query.keyterm
        self._digest = hashlib.sha256()
        self._deadline = 0.0
        self._has_audio = False
        self._intake: Intake

    async def run(self) -> None:
        """Talk until the stream is over; ends the call."""
        self._deadline = trio.current_time() + self._idle_s
        async with open_intake(
            self._call,
            _format(self._query),
            endpointing_ms=ENDPOINTING_OFF_MS if self._query.endpointing is None else self._query.endpointing,
            partials=self._query.interim_results or self._query.vad_events,
            tell=self._tell,
            say=self._call.say,
            broken_message=BROKEN_MESSAGE,
        ) as self._intake:
            while True:
                await self._take(await self._next())

    async def _next(self) -> str | bytes:
        with trio.move_on_at(self._deadline):
            return await self._call.receive()
        return await self._call.close(
            1011, "NET-0001: no audio data or text message within the timeout window"
        )

    async def _take(self, message: str | bytes) -> None:
        if message == b"":
            await self._finish()  # the old protocol's end of stream
        elif isinstance(message, bytes):
            await self._audio(message)
        else:
            await self._control(message)
        if self._has_audio:
            self._deadline = trio.current_time() + self._idle_s

    async def _audio(self, data: bytes) -> None:
        self._has_audio = True
        self._digest.update(data)
        try:
            await self._intake.audio(data)
        except Undecodable:
            await self._call.close(*UNDECODABLE)
        for channel in self._channels:
            await self._say_all(channel.clock(self._intake.clock_ms))

    async def _control(self, text: str) -> None:
        match _control(text):
            case {"type": "KeepAlive"}:
                pass
            case {"type": "Finalize", "channel": int(index)}:
                await self._finalize(index)
            case {"type": "Finalize"}:
                await self._finalize(None)
            case {"type": "CloseStream"}:
                await self._finish()
            case {"type": "Configure"} as settings:
                await self._call.say(self._configure(settings))
            case _:
                await self._misunderstand()

    async def _finalize(self, index: int | None) -> None:
        for channel in self._channels:
            if index is None or channel.index == index:
                channel.finalize(self._intake.clock_ms)
        await self._intake.finalize(index)

    def _configure(self, settings: Json) -> Json:
        keyterms = settings.get("keyterms", list(self._keyterms)) or []
        answer: Json = {"type": "ConfigureSuccess", "request_id": self._call.request.id}
        if not self._query.model.startswith("nova-3"):
            return _failure(answer, "CONFIGURE_KEYTERMS_NOT_SUPPORTED", "key terms need nova-3")
        if not all(isinstance(term, str) for term in keyterms):
            return _failure(answer, "CONFIGURE_INTERNAL_ERROR", "keyterms must be a list of strings")
        if count_tokens(keyterms) > KEYTERM_TOKENS_MAX:
            return _failure(
                answer, "CONFIGURE_KEYTERM_LIMIT_EXCEEDED", f"at most {KEYTERM_TOKENS_MAX} tokens"
            )
        self._keyterms = keyterms
        return {**answer, "keyterms": keyterms}

    async def _misunderstand(self) -> NoReturn:
        await self._call.say(
            {
                "type": "Error",
                "variant": "SchemaError",
                "description": "Could not deserialize last text message",
                "message": "expected KeepAlive, Finalize, CloseStream or Configure",
            }
        )
        await self._call.close(1008, "unexpected text message")

    async def _finish(self) -> NoReturn:
        for channel in self._channels:
            channel.is_finishing = True
        try:
            await self._intake.finish()
        except Undecodable:
            await self._call.close(*UNDECODABLE)
        if self._call.script is None:
            for channel in self._channels:
                await self._say_all(channel.rest(self._intake.clock_ms))
        await self._call.say(self._metadata())
        await self._call.close(1000)

    def _metadata(self) -> Json:
        now = datetime.datetime.now(datetime.UTC)
        return {
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": self._call.request.id,
            "sha256": self._digest.hexdigest(),
            "created": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "duration": self._intake.clock_ms / 1000,
            "channels": len(self._channels),
        }

    async def _tell(self, index: int, heard: Heard) -> None:
        channel = self._channels[index]
        await self._say_all(channel.heard(heard, self._intake.clock_ms))
        await self._say_all(channel.clock(self._intake.clock_ms))

    async def _say_all(self, messages: Iterator[Json]) -> None:
        for message in messages:
            await self._call.say(message)


class Channel:
    """What is said about one channel. Synchronous: heard things and the audio clock in, messages out."""

    def __init__(self, index: int, total: int, query: ListenQuery, request_id: str) -> None:
        self.index: Final = index
        self.is_finishing = False
        """The end of the stream was asked for: a final that it cut is no endpoint."""
        self._total = total
        self._query = query
        self._request_id = request_id
        self._settled_ms = 0
        self._is_open = False
        self._finalized_ms: int | None = None
        self._last_word_ms: int | None = None
        """End of the last settled word while an UtteranceEnd is owed for it."""
        self._was_endpoint = False

    def heard(self, heard: Heard, clock_ms: int) -> Iterator[Json]:
        """An utterance grew or is over."""
        if not heard.words:
            return
        if not self._is_open:
            yield from self._open(heard)
        if heard.kind == "final":
            yield from self._settle(heard, clock_ms)
        elif self._query.interim_results:
            yield self._results(heard.words, heard.end_ms, is_first=True, is_last=False)

    def clock(self, clock_ms: int) -> Iterator[Json]:
        """Audio arrived: enough silence behind the last word is an UtteranceEnd."""
        gap_ms = self._query.utterance_end_ms
        if gap_ms is None or not self._query.interim_results or self._last_word_ms is None or self._is_open:
            return
        if clock_ms - self._last_word_ms >= gap_ms:
            yield self._utterance_end()

    def finalize(self, clock_ms: int) -> None:
        """The client asked for finals now."""
        self._finalized_ms = clock_ms

    def rest(self, clock_ms: int) -> Iterator[Json]:
        """The stream is over: an empty final for what nobody said anything in."""
        if clock_ms > self._settled_ms:
            yield self._results((), clock_ms, is_first=True, is_last=True, is_final=True)

    def _open(self, heard: Heard) -> Iterator[Json]:
        if self._last_word_ms is not None:
            gap_ms = heard.words[0].start_ms - self._last_word_ms
            if gap_ms >= (self._query.utterance_end_ms or gap_ms + 1) and self._query.interim_results:
                yield self._utterance_end()
            self._last_word_ms = None
        self._is_open = True
        if self._query.vad_events:
            timestamp = heard.start_ms / 1000
            yield {"type": "SpeechStarted", "channel": [self.index, self._total], "timestamp": timestamp}

    def _utterance_end(self) -> Json:
        assert self._last_word_ms is not None
        # Documented: -1 where speech_final had closed the utterance already.
        last_word_end = -1 if self._was_endpoint else self._last_word_ms / 1000
        self._last_word_ms = None
        return {"type": "UtteranceEnd", "channel": [self.index, self._total], "last_word_end": last_word_end}

    def _settle(self, heard: Heard, clock_ms: int) -> Iterator[Json]:
        from_finalize = self._is_cut(heard, self._finalized_ms)
        self._finalized_ms = None
        was_cut = from_finalize or self._is_cut(heard, clock_ms if self.is_finishing else None)
        is_endpoint = self._query.endpointing is not None and not was_cut
        pieces = list(_pieces(heard.words))
        for number, piece in enumerate(pieces):
            is_last = number == len(pieces) - 1
            yield self._results(
                piece,
                max(heard.end_ms, piece[-1].end_ms) if is_last else piece[-1].end_ms,
                is_first=number == 0,
                is_last=is_last,
                is_final=True,
                speech_final=is_last and is_endpoint,
                from_finalize=from_finalize,
            )
        self._is_open = False
        self._last_word_ms = heard.words[-1].end_ms
        self._was_endpoint = is_endpoint

    def _is_cut(self, heard: Heard, asked_ms: int | None) -> bool:
        """Whether a request at this time, and not silence, closed the utterance."""
        if asked_ms is None or heard.start_ms >= asked_ms:
            return False
        return not heard.is_followed_by_silence(asked_ms, self._query.endpointing or 0)

    def _results(
        self,
        words: Sequence[HeardWord],
        end_ms: int,
        *,
        is_first: bool,
        is_last: bool,
        is_final: bool = False,
        speech_final: bool = False,
        from_finalize: bool = False,
    ) -> Json:
        start_ms = self._settled_ms
        end_ms = max(end_ms, start_ms)
        if is_final:
            self._settled_ms = end_ms
        return {
            "type": "Results",
            "channel_index": [self.index, self._total],
            "duration": (end_ms - start_ms) / 1000,
            "start": start_ms / 1000,
            "is_final": is_final,
            "speech_final": speech_final,
            "channel": {
                "alternatives": [self._alternative(words, begins=is_first, ends=is_last and is_final)]
            },
            "metadata": self._metadata(),
            "from_finalize": from_finalize,
        }

    def _alternative(self, words: Sequence[HeardWord], *, begins: bool, ends: bool) -> Json:
        plain = [word.text for word in words]
        is_dressed = self._query.punctuate or self._query.smart_format
        shown = as_prose(plain, begins=begins, ends=ends) if is_dressed else plain
        alternative: Json = {
            "transcript": " ".join(shown),
            "confidence": 0.99 if words else 0.0,
            "words": [self._word(word, text, is_dressed) for word, text in zip(words, shown, strict=True)],
        }
        if self._query.language == "multi":
            alternative["languages"] = ["en"] if words else []
        return alternative

    def _word(self, word: HeardWord, shown: str, is_dressed: bool) -> Json:
        entry: Json = {
            "word": word.text,
            "start": word.start_ms / 1000,
            "end": word.end_ms / 1000,
            "confidence": 0.99,
        }
        if is_dressed:
            entry["punctuated_word"] = shown
        if self._query.language == "multi":
            entry["language"] = "en"
        if self._query.diarize:
            entry["speaker"] = 0
        return entry

    def _metadata(self) -> Json:
        return {
            "request_id": self._request_id,
            "model_info": {
                "name": f"general-{self._query.model}",
                "version": "2025-06-01.10000",
                "arch": self._query.model,
            },
            "model_uuid": "00000000-0000-4000-8000-000000000000",
        }


def _pieces(words: Sequence[HeardWord]) -> Iterator[Sequence[HeardWord]]:
    """Runs of words that each span at most `PIECE_MS`, in order; every word in one of them."""
    piece: list[HeardWord] = []
    for word in words:
        if piece and word.end_ms - piece[0].start_ms > PIECE_MS:
            yield piece
            piece = []
        piece.append(word)
    yield piece


def _control(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None


def _failure(answer: Json, code: str, description: str) -> Json:
    return {**answer, "type": "ConfigureFailure", "code": code, "description": description}


def _format(query: ListenQuery) -> Format:
    match query.encoding:
        case None:
            return ContainerFormat(("matroska", "ogg", "wav", "mp3", "flac", "aac", "mov"))
        case "ogg-opus":
            return ContainerFormat(("ogg",))
        case "flac":
            return ContainerFormat(("flac",))
        case "opus":
            return PacketFormat()
    assert query.sample_rate is not None
    return RawFormat(
        encoding=RAW_ENCODINGS[query.encoding],
        sample_rate=query.sample_rate,
        channels=query.channels,
        split=query.multichannel,
    )
