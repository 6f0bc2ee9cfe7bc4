"""What the emulated provider of the stream pull tests says."""

import json

from routeraudio.emulators.kit.script import Script, parse_script


def result(text: str, at_ms: int, *, is_final: bool) -> dict[str, object]:
    """A result of Deepgram's, with blanks and an order of fields that no encoder of ours would choose."""
    words = json.dumps({"transcript": text, "confidence": 0.90, "words": []}, ensure_ascii=True)
    sent = (
        f'{{"type" : "Results","start":{at_ms / 1000:.3f}, "duration":0.50, "is_final":{json.dumps(is_final)},'
        f'"speech_final":false,  "channel_index":[0,1],"channel":{{"alternatives":[{words}]}}}}'
    )
    return {"after_ms": at_ms, "send_text": sent}


SCRIPT: Script = parse_script(
    json.dumps(
        {
            "steps": [
                result("go", 300, is_final=False),
                result("go forw\u00e4rd", 800, is_final=False),
                result("go forw\u00e4rd ten", 1500, is_final=True),
                result("meters", 2000, is_final=True),
            ]
        }
    ).encode(),
    "script",
)
