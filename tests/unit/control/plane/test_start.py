"""What stops a start, what does not, and what is said about it."""

import socket

import pytest

from pymesh.address import Address
from pymesh_control.errors import StartupError
from pymesh_control.main import main
from pymesh_control.options import address
from pymesh_control.plane import ControlPlane

from .started import MESH, options


@pytest.mark.parametrize("which", ["xds", "secure_xds", "monitoring"])
async def test_a_taken_port_is_refused_with_a_sentence(tmp_path, which):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = Address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(StartupError, match=f"cannot listen on {where}: Address already in use"):
            async with ControlPlane(options(tmp_path, **{which: where})):
                pass


async def test_a_port_of_another_control_plane_is_taken_too(tmp_path):
    async with ControlPlane(options(tmp_path)) as first:
        with pytest.raises(StartupError, match="Address already in use"):
            async with ControlPlane(options(tmp_path, xds=first.bound.xds)):
                pass


async def test_a_start_that_fails_leaves_its_other_ports_free(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        where = Address("127.0.0.1", free.getsockname()[1])
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(StartupError):
        async with ControlPlane(options(tmp_path, secure_xds=where, monitoring=Address("127.0.0.1", taken.getsockname()[1]))):
            pass
    socket.create_server((where.host, where.port)).close()


async def test_a_state_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupError, match=r"cannot use .*file/state: Not a directory"):
        async with ControlPlane(options(tmp_path, state_dir=tmp_path / "file" / "state")):
            pass


async def test_the_mesh_configuration_decides_the_trust_domain(tmp_path):
    chosen = options(tmp_path)
    (tmp_path / "config" / "mesh.yaml").write_text(MESH)
    async with ControlPlane(chosen) as plane:
        assert (plane.authority.trust_domain, plane.world.snapshot.mesh.trust_domain) == ("td.example", "td.example")


async def test_an_option_that_contradicts_the_mesh_configuration_is_refused(tmp_path):
    chosen = options(tmp_path, trust_domain="other.example")
    (tmp_path / "config" / "mesh.yaml").write_text(MESH)
    with pytest.raises(StartupError, match=r"--trust-domain other\.example contradicts trustDomain td\.example"):
        async with ControlPlane(chosen):
            pass


async def test_the_option_alone_decides_the_trust_domain_of_certificates_and_policies(tmp_path):
    async with ControlPlane(options(tmp_path, trust_domain="other.example")) as plane:
        assert (plane.authority.trust_domain, plane.world.snapshot.mesh.trust_domain) == ("other.example", "other.example")


def test_the_command_exits_64_with_a_sentence_and_without_a_ready_line(tmp_path, capsys):
    assert main(["--config", str(tmp_path / "none"), "--state-dir", str(tmp_path / "state")]) == 64
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"pymesh-control: cannot read configuration folder {tmp_path}/none: No such file or directory\n"


@pytest.mark.parametrize(
    "arguments",
    [["--xds", "15010"], ["--xds", "127.0.0.1:99999"], ["--debounce-max", "-1"], ["--trust-domain", "A b"], ["--trust-domain", "a/b"]],
)
def test_wrong_usage_exits_2(tmp_path, arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["--config", str(tmp_path), *arguments])
    assert exit_.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_addresses_are_read_and_written_alike():
    assert address(":15010") == Address("0.0.0.0", 15010)
    assert str(address("[::1]:15010")) == "[::1]:15010"
