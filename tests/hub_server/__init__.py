"""A small Hub on loopback that speaks the Hub's HTTP protocol, for tests with the unmodified clients.

::

    from hub_server import HubServer, run_client

    def test_pushing(tmp_path):
        with HubServer() as server:
            done = run_client(
                server,
                '''
                from huggingface_hub import create_repo
                create_repo("me/name", repo_type="dataset")
                ''',
                token=server.tokens["write"],
                home=tmp_path,
            )
            assert done.returncode == 0, done.stderr
            assert server.repo("dataset", "me/name").files() == {}
            assert server.unexpected == []

``clients_inside(server, tmp_path, token=…)`` does the same for huggingface_hub and
datasets without a process of their own, in a fraction of the time.

Let something go wrong with ``server.fail("/commit/", status=503)``: see :class:`Fault`.
"""

from hub_server.client import client_environment, run_client
from hub_server.faults import Fault, LoggedRequest
from hub_server.inside import Waits, clients_inside
from hub_server.server import PARQUET_REF, HubServer
from hub_server.state import Repo

__all__ = [
    "PARQUET_REF",
    "Fault",
    "HubServer",
    "LoggedRequest",
    "Repo",
    "Waits",
    "client_environment",
    "clients_inside",
    "run_client",
]
