"""What is told, how it is signed, and when it is tried again."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from flows.telling.prefect_events import event_of
from models.errors import BadSetting
from models.notice_kinds import key_of
from models.notices import Notice, headers_of, line_of, next_try, of_health
from models.settings import Settings

AT = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_signature_is_the_one_of_standard_webhooks() -> None:
    """The example of its specification."""
    notice = Notice("msg_p5jXN8AQM9LWM0D4loKWxJek", "job.ended", AT, '{"test": 2432232314}')
    assert headers_of(notice, SECRET, datetime.fromtimestamp(1614265330, UTC)) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert key_of("plain text") == b"plain text"
    with pytest.raises(ValueError, match="no base64"):
        key_of("whsec_???")


def test_only_a_change_of_the_health_is_told() -> None:
    """With what is down now, and with what was where nothing is any more."""
    assert of_health([], {}, AT) is None
    assert of_health(["disk"], {"disk": "another sentence"}, AT) is None
    bad = of_health([], {"disk": "full", "prefect": "silent"}, AT)
    more = of_health(["disk"], {"disk": "full", "prefect": "silent"}, AT)
    good = of_health(["disk"], {}, AT)
    assert bad is not None
    assert more is not None
    assert good is not None
    assert [each.kind for each in (bad, more, good)] == ["health.bad", "health.bad", "health.good"]
    assert [line_of(each) for each in (bad, good)] == ["down: disk, prefect", "nothing is down any more (was: disk)"]
    assert json.loads(bad.content) == {
        "type": "health.bad",
        "timestamp": "2026-11-27T12:00:00.000000+00:00",
        "data": {"down": {"disk": "full", "prefect": "silent"}},
    }
    assert len({bad.notice_id, more.notice_id, good.notice_id}) == 3


def test_an_event_of_prefect_has_the_id_of_the_notice() -> None:
    """So it has each once, however often it is told."""
    content = '{"type":"job.ended","timestamp":"","data":{"job_id":"j","backend":"rydberg"}}'
    event = event_of(Notice("0" * 31 + "1", "job.ended", AT, content))
    assert event == {
        "id": "00000000-0000-0000-0000-000000000001",
        "event": "quledger.job.ended",
        "occurred": "2026-11-27T12:00:00.000000+00:00",
        "resource": {"prefect.resource.id": "quledger.job.j"},
        "payload": {"job_id": "j", "backend": "rydberg"},
    }


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 2), (2, 4), (5, 32), (30, 600), (10**6, 600)])
def test_pauses_grow(attempts: int, seconds: int) -> None:
    """They double, up to ten minutes, and half of each is chance."""
    assert next_try(attempts, AT, 1.0) == AT + timedelta(seconds=seconds)
    assert next_try(attempts, AT, 0.0) == AT + timedelta(seconds=seconds / 2)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"WEBHOOK": "https://h/x"}, "QULEDGER_WEBHOOK_SECRET has to be set"),
        ({"WEBHOOK": "file:///etc/passwd", "WEBHOOK_SECRET": "x" * 16}, "QULEDGER_WEBHOOK: "),
        ({"WEBHOOK": "https://h/x", "WEBHOOK_SECRET": "short"}, "QULEDGER_WEBHOOK_SECRET: it has less"),
        ({"WEBHOOK": "https://h/x", "WEBHOOK_SECRET": "whsec_!"}, "QULEDGER_WEBHOOK_SECRET: "),
        ({"MAIL_SERVER": "smtps://u:topsecret@h"}, "QULEDGER_MAIL_FROM and QULEDGER_MAIL_TO have to be set"),
        ({"MAIL_SERVER": "https://u:topsecret@h"}, "QULEDGER_MAIL_SERVER: "),
        ({"PREFECT_EVENT_KINDS": '["job.begun"]'}, "QULEDGER_PREFECT_EVENT_KINDS: "),
    ],
)
def test_settings_that_cannot_be(variables: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are named, without what is secret in them."""
    for name, value in variables.items():
        monkeypatch.setenv(f"QULEDGER_{name}", value)
    with pytest.raises(BadSetting) as caught:
        Settings.read()
    assert said in str(caught.value)
    assert not any(value in str(caught.value) for value in ("topsecret", "https://h/x", "/etc/passwd", "short"))


def test_secrets_are_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`quledger config` shows that they are set."""
    monkeypatch.setenv("QULEDGER_WEBHOOK", "https://hooks.example.org/T0PSECRET")
    monkeypatch.setenv("QULEDGER_WEBHOOK_SECRET", "t0psecret-t0psecret")
    monkeypatch.setenv("QULEDGER_MAIL_SERVER", "smtps://lab:t0psecret@mail.example.org")
    monkeypatch.setenv("QULEDGER_MAIL_FROM", "lab@example.org")
    monkeypatch.setenv("QULEDGER_MAIL_TO", '["a@example.org"]')
    settings = Settings.read()
    assert "t0psecret" not in (json.dumps(settings.redacted()) + repr(settings)).lower()
