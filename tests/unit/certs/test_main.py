import pytest

from pymesh_certs import token
from pymesh_certs.main import main


def run(*arguments):
    return main([str(argument) for argument in arguments])


def test_init_then_token_then_root(ca_dir, capsys):
    assert run("init", "--ca-dir", ca_dir) == 0
    assert run("token", "--ca-dir", ca_dir, "--namespace", "ml", "--service-account", "model", "--ttl", "15m") == 0
    minted = capsys.readouterr().out.splitlines()[-1]
    assert token.Verifier(token.load_or_create_key(ca_dir), "cluster.local").identity(minted).service_account == "model"
    assert run("root", "--ca-dir", ca_dir) == 0
    assert capsys.readouterr().out == (ca_dir / "root-cert.pem").read_text()


def test_a_directory_that_is_not_there_is_a_sentence(ca_dir, capsys):
    assert run("token", "--ca-dir", ca_dir, "--namespace", "ml", "--service-account", "model") == 64
    assert run("root", "--ca-dir", ca_dir) == 64
    told = capsys.readouterr().err
    assert "pymesh-ca init" in told
    assert "No such file" in told
    assert not ca_dir.exists()


def test_a_token_of_no_use_is_a_no(ca_dir):
    run("init", "--ca-dir", ca_dir)
    assert run("token", "--ca-dir", ca_dir, "--namespace", "../x", "--service-account", "model") == 1


@pytest.mark.parametrize(
    "arguments", [[], ["init"], ["token", "--ca-dir", "d", "--namespace", "a", "--service-account", "b", "--ttl", "soon"]]
)
def test_wrong_usage_is_exit_code_2(arguments):
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2
