"""`ca`: the certificate of the daemon's own authority, and how each client is told to trust it."""

from __future__ import annotations

import shlex

import click

from paasd.cli import output
from paasd.cli.session import PaasCommand, Session, json_option

TRUST = """\
It is good for localhost, *.localhost and 127.0.0.1 only. To trust it, keep it in a file first:
  paas ca > {file}
  curl      curl --cacert {file} {url}/health
  git       git config --global http.{url}/.sslCAInfo {file}
  Node      export NODE_EXTRA_CA_CERTS={file}     (`paas env` sets it)
  Python    export SSL_CERT_FILE={file}
  browsers  import it as an authority for websites, in the browser's own settings for certificates
Take it out of there once you no longer need it."""


@click.command(cls=PaasCommand, name="ca", section="Connect", example="paas ca > paasd-ca.pem")
@json_option
@click.pass_obj
def ca(session: Session, as_json: bool) -> None:
    """Print the certificate that https is to be trusted by, and how to."""
    found = session.api.get("/paasd/ca")
    if as_json:
        output.print_json(found)
        return
    click.echo(str(found["certificate"]).rstrip())
    url = f"https://{session.settings.host}"
    click.echo(TRUST.format(file=shlex.quote("paasd-ca.pem"), url=url), err=True)


COMMANDS = (ca,)
