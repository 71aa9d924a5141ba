"""Bulk pushes and messages, watched and steered from a shell and over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from app.messages.kinds import KINDS
from app.notifications import submit
from sandbox.standins.fcm import fcm_error
from tests import data
from tests.house import API_KEY, ROOT, House, wait_until
from tests.integration.test_bulk import BULK, SOON, bulk, standing, users
from tests.integration.test_commands import pafar
from tests.web import ask


@contextmanager
def tail(house: House, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """`pafar tail` running beside us, and the file it prints into."""
    printed = house.folder / f"tail-{uuid4()}"
    with printed.open("wb") as output:
        process = subprocess.Popen(
            # What a shell starts in the background ignores Ctrl-C, and so would all that comes of that.
            ["env", "--default-signal=INT", sys.executable, "-m", "app.cli", "tail", *arguments],
            cwd=house.folder,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            stdout=output,
            stderr=output,
        )
    try:
        yield process, printed
    finally:
        process.kill()
        process.wait()


def campaign_of(count: int) -> UUID:
    return submit.accept_now(BULK, {"notification_data": bulk(users(count))})


def test_a_campaign_is_steered_from_a_shell(house: House) -> None:
    campaign = str(campaign_of(600))
    told = pafar(house, "campaign", "pause", campaign)
    assert (told.returncode, told.stdout) == (0, "paused: 0 of 1200 tokens sent, 0 failed, 1200 waiting\n")
    assert "running: 0 of 1200" in pafar(house, "campaign", "resume", campaign).stdout
    assert "cancelled: 0 of 1200" in pafar(house, "campaign", "cancel", campaign).stdout
    status = json.loads(pafar(house, "campaign", "status", campaign, "--json").stdout)
    assert (status["state"], status["total_users"], status["waiting_count"]) == ("cancelled", 600, 1200)
    over = pafar(house, "campaign", "resume", campaign)
    assert (over.returncode, over.stderr.strip()) == (1, f"campaign {campaign} is cancelled and can't be changed")
    for command in (["campaign", "status"], ["campaign", "cancel"], ["tail"]):
        assert "there is no campaign" in pafar(house, *command, str(uuid4())).stderr


def test_a_campaign_is_steered_over_http(house: House) -> None:
    campaign = campaign_of(300)
    with house.api(API_KEY=API_KEY) as address:
        url = f"{address}/api/v1/campaigns"
        assert ask(f"{url}/{campaign}").status == 401
        key = {"Authorization": f"Bearer {API_KEY}"}
        found = ask(f"{url}/{campaign}", **key).json
        assert (found["id"], found["state"], found["total_tokens"]) == (str(campaign), "running", 600)
        for act, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
            assert ask(f"{url}/{campaign}/{act}", {}, **key).json["state"] == state
        over = ask(f"{url}/{campaign}/pause", {}, **key)
        assert (over.status, "cancelled" in over.json["detail"]) == (409, True)
        assert over.headers["content-type"] == "application/problem+json"
        assert ask(f"{url}/{uuid4()}", **key).status == 404


@pytest.mark.usefixtures("worker")
def test_tail_follows_a_campaign_to_its_end(house: House) -> None:
    house.fcm.tokens["phone-7"] = fcm_error("UNREGISTERED")
    campaign = campaign_of(600)
    with tail(house, str(campaign)) as (process, printed):
        assert process.wait(SOON) == 0
    assert standing(campaign).finished
    last = printed.read_text().splitlines()[-1]
    assert last == "finished: 1199 of 1200 tokens sent, 1 failed, 0 waiting"


@pytest.mark.usefixtures("worker")
def test_tail_tells_what_becomes_of_messages_and_of_whom_nothing(house: House) -> None:
    house.fcm.tokens["token-gone"] = fcm_error("UNREGISTERED")
    with tail(house) as (process, printed):
        wait_until(printed.read_text, SOON)  # it is there
        for kind, arguments in (
            ("booking_confirmation_sms", data.sms()),
            ("booking_confirmation_push", data.push(["token-gone"])),
        ):
            submit.accept_now(KINDS[kind], arguments)
        wait_until(lambda: len(printed.read_text().splitlines()) >= 3, SOON)
        process.send_signal(signal.SIGINT)
        assert process.wait(SOON) == 0
    lines = sorted(printed.read_text().splitlines()[1:], key=lambda line: line.split()[1])
    assert [line.split()[1:3] for line in lines] == [
        ["failed", "booking_confirmation_push"],
        ["sent", "booking_confirmation_sms"],
    ]
    assert "InvalidRecipient" in lines[0]
    for personal in ("+234", "Ada", "token-gone"):
        assert personal not in printed.read_text()
