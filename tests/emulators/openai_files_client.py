"""OpenAI's own SDK transcribing files, as a process of its own: takes a plan (JSON), prints a report (JSON).

    {"base_url": "http://…/v1", "key": "k", "calls": [{"file": "path", "model": "local", …}]}

Every call's members are the SDK's parameters.
"""

import json
import sys
from pathlib import Path
from typing import Any

import openai
from openai import OpenAI


def call(client: OpenAI, wish: dict[str, Any]) -> Any:
    with Path(wish.pop("file")).open("rb") as file:
        try:
            answer = client.audio.transcriptions.create(file=file, **wish)
            if wish.get("stream"):
                return [event.to_dict() for event in answer]
            return answer if isinstance(answer, str) else answer.to_dict()
        except openai.APIStatusError as error:
            return {"status": error.status_code, "error": error.body}


def main() -> None:
    plan = json.loads(sys.argv[1])
    client = OpenAI(api_key=plan["key"], base_url=plan["base_url"])
    models = client.models.list().to_dict()["data"]
    print(json.dumps({"calls": [call(client, wish) for wish in plan["calls"]], "models": models}))


main()
