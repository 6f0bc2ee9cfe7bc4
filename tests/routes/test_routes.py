"""Routes: what is paid once per process, and what a broken `ca_file` costs."""

import pytest

from routeraudio.config.schema import Config, Provider
from routeraudio.model.errors import ConfigFault
from routeraudio.routes import routes as module
from routeraudio.routes.routes import routes


def test_providers_share_what_authorities_they_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    """A context is made once per `ca_file`, whichever route asks first; a reload makes new ones."""
    made: list[object] = []
    monkeypatch.setattr(module, "client_context", lambda ca_file: made.append(ca_file) or object())
    known = routes(Config(providers={"deepgram": Provider(ca_file="/a"), "openai": Provider(ca_file="/a")}))
    assert known["deepgram"].tls is known["openai"].tls
    assert known["soniox"].tls is known["gradium"].tls
    assert known["soniox"].tls is not known["openai"].tls
    assert len(made) == 2
    assert routes(Config())["soniox"].tls is not known["soniox"].tls


def test_preparing_a_provider_whose_ca_file_is_broken() -> None:
    """Keeps nobody from starting; sessions with it are told."""
    route = routes(Config(providers={"deepgram": Provider(ca_file="/nowhere")}))["deepgram"]
    assert route.is_configured
    route.prepare()
    with pytest.raises(ConfigFault, match="ca_file"):
        _ = route.tls
