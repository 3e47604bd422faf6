"""The ports: what the services ask of the world. Each says what it raises and what repeating does."""

from paasd.ports.addons import Access, AddonProvider, Condition, Order, Provided, Watched
from paasd.ports.authority import Authority
from paasd.ports.disk import Disks
from paasd.ports.drains import Outlet, Outlets, Refused
from paasd.ports.dumps import Dump, Dumps
from paasd.ports.engine import Artifact, BuildSpec, Change, Engine, EngineInfo, Shell, Size, Tally, Terminal, Write
from paasd.ports.journal import Entry, Journal
from paasd.ports.outputs import OutputFile, Outputs
from paasd.ports.probe import REFUSED, Probe, ProbeResult
from paasd.ports.router import CertificateHolder, Router, RouterHealth, RouterHost
from paasd.ports.sources import Sources
from paasd.ports.store import AccessStore, AppStore, AuditStore, LedgerStore, RequestStore, Store, UpkeepStore
from paasd.ports.uploads import Uploads
from paasd.ports.web import Web, WebReply

__all__ = [
    "REFUSED",
    "Access",
    "AccessStore",
    "AddonProvider",
    "AppStore",
    "Artifact",
    "AuditStore",
    "Authority",
    "BuildSpec",
    "CertificateHolder",
    "Change",
    "Condition",
    "Disks",
    "Dump",
    "Dumps",
    "Engine",
    "EngineInfo",
    "Entry",
    "Journal",
    "LedgerStore",
    "Order",
    "Outlet",
    "Outlets",
    "OutputFile",
    "Outputs",
    "Probe",
    "ProbeResult",
    "Provided",
    "Refused",
    "RequestStore",
    "Router",
    "RouterHealth",
    "RouterHost",
    "Shell",
    "Size",
    "Sources",
    "Store",
    "Tally",
    "Terminal",
    "UpkeepStore",
    "Uploads",
    "Watched",
    "Web",
    "WebReply",
    "Write",
]
