"""A small Hub on loopback that speaks the Hub's HTTP protocol, for tests with the unmodified clients.

with HubServer() as hub, clients_inside(hub, tmp_path, token=hub.tokens["write"]):
    huggingface_hub.create_repo("me/name", repo_type="dataset")
    hub.fail("/commit/", status=503)  # the next commit fails: see Fault

``run_client`` does the same in a process of its own.
"""

from hub_server.client import Waits, client_environment, clients_inside, run_client
from hub_server.repository import PARQUET_REF, Repo
from hub_server.server import Fault, HubServer

__all__ = [
    "PARQUET_REF",
    "Fault",
    "HubServer",
    "Repo",
    "Waits",
    "client_environment",
    "clients_inside",
    "run_client",
]
