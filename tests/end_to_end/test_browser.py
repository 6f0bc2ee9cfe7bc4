"""What a person does in a browser: open the page, press Start, speak, read."""

import wave
from pathlib import Path

import trio

from tests.end_to_end.chromium import open_page
from tests.end_to_end.router import CLIP, PATIENCE_S, WORDS, open_router


def spoken(folder: Path) -> Path:
    """The clip between silences: a browser's microphone is open before and after somebody speaks."""
    path = folder / "microphone.wav"
    with wave.open(str(CLIP)) as clip, wave.open(str(path), "wb") as sound:
        sound.setparams(clip.getparams())
        silence = bytes(2 * clip.getframerate())
        sound.writeframes(silence + clip.readframes(clip.getnframes()) + 3 * silence)
    return path


async def test_speaking_into_the_page(tmp_path: Path) -> None:
    """MediaRecorder's WebM from a microphone becomes the right words, while the person still speaks to the page."""
    async with (
        open_router(spawn=True) as router,
        open_page(f"http://{router.address}/", spoken(tmp_path)) as page,
    ):
        with trio.fail_after(PATIENCE_S):
            await page.until("document.querySelector('#provider')?.value === 'local'")
            assert await page.run("document.querySelectorAll('#models tbody tr').length") > 20
            can = await page.run(
                "[...document.querySelectorAll('#models td:nth-child(5)')].map((td) => td.textContent)"
            )
            assert set(can) == {"yes", "–"}
            await page.run("document.querySelector('#toggle').click()")
            said = await page.until("document.querySelector('#finals li')?.lastChild.textContent")
            assert said == WORDS
            assert float(await page.run("document.querySelector('#finals time').textContent")) > 0
            await page.run("document.querySelector('#toggle').click()")
            await page.until("document.querySelector('#state').textContent === 'done'")


async def test_finding_a_language(tmp_path: Path) -> None:
    """Typing a name in any script shows who speaks it."""
    async with open_router() as router, open_page(f"http://{router.address}/", spoken(tmp_path)) as page:
        with trio.fail_after(PATIENCE_S):
            await page.until("document.querySelector('#models tbody tr') !== null")
            await page.run("document.querySelector('#search').value = 'தமிழ்'")
            await page.run("document.querySelector('#search').dispatchEvent(new Event('input')) && null")
            row = await page.until("document.querySelector('#languages tbody tr')?.textContent")
            assert "Tamil" in row
            assert "soniox" in row
            assert await page.run("document.querySelector('#models').hidden")
