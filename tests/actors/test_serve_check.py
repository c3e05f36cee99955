from pathlib import Path

import pytest
import yaml

from actors.cli import main
from actors.serving.check import check_file
from ray_iqa.config.serve import ServeConfig
from ray_iqa.errors import ConfigError
from ray_iqa.http.auth.keys import KeyRing, hash_of, new_key
from serve_app import build_app

FOLDER = Path(__file__).parents[2] / "configs" / "serve"
CONFIGS = sorted(FOLDER.glob("*.yaml"))


def test_the_configs_of_the_repository_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert [path.stem for path in CONFIGS] == ["both", "both_cpu", "dev", "light", "reasoning"]
    assert main(["serve", "check", *map(str, CONFIGS)]) == 0
    assert capsys.readouterr().out.count(": ok") == 5


@pytest.mark.parametrize(
    ("right", "wrong", "finding"),
    [
        ("http_options:", "http_option:", "unknown key 'http_option', did you mean 'http_options'?"),
        ("request_timeout_s: 90", "request_timeout: 90", "unknown key 'http_options.request_timeout', did you mean"),
        ("target_ongoing_requests: 8", "target_ongoing_request: 8", "'target_ongoing_requests'?"),
        ("target_ongoing_requests: 8", "target_ongoing_requests: 12", "must be below max_pending_requests 12, or the"),
        ("max_queued_requests: 96", "max_queue_requests: 96", "applications.0.deployments.1.max_queue_requests"),
        ("num_cpus: 2", "num_cpu: 2", "ray_actor_options.num_cpu', did you mean 'num_cpus'?"),
        ("artifact: /data/models/rali\n      ", "artefact: /data/models/rali\n      ", "did you mean 'artifact'?"),
        ("keys_file:", "key_file:", "did you mean 'keys_file'?"),
        ("burst: 100", "burst: -1", "applications.0.args.access.burst: Input should be greater than 0"),
        ("name: LightScorer", "name: LightScore", "did you mean 'LightScorer'?"),
        ("name: LightScorer", "name: ReasoningScorer", "args have no section for ReasoningScorer"),
        ("max_images: 64", "max_image: 64", "user_config.max_image', did you mean 'max_images'?"),
        ("min_replicas: 1\n", "min_replicas: one\n", "min_replicas"),
        ("keys_file: /data/secrets/ray-iqa-keys", "no_auth: true", "http_options.host must be 127.0.0.1"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, right: str, wrong: str, finding: str) -> None:
    text = (FOLDER / "light.yaml").read_text()
    assert right in text
    path = tmp_path / "serve.yaml"
    path.write_text(text.replace(right, wrong, 1))
    assert any(finding in sentence for sentence in check_file(path)), check_file(path)
    assert main(["serve", "check", str(path)]) == 1


def test_what_the_reasoning_model_may_change_is_checked(tmp_path: Path) -> None:
    before, _, after = (FOLDER / "reasoning.yaml").read_text().rpartition("model: /data/models/policy")
    path = tmp_path / "serve.yaml"
    path.write_text(f"{before}modle: /data/models/policy\n          num_completions: 1{after}")
    place = "applications.0.deployments.1.user_config"
    assert set(check_file(path)) == {
        f"unknown key '{place}.modle', did you mean 'model'?",
        f"{place}.num_completions: Input should be greater than or equal to 2, got 1",
    }


def test_what_is_no_config_is_said(tmp_path: Path) -> None:
    path = tmp_path / "serve.yaml"
    with pytest.raises(ConfigError, match="existing YAML"):
        check_file(path)
    path.write_text(yaml.safe_dump(["applications"]))
    with pytest.raises(ConfigError, match="mapping"):
        check_file(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("applications: 3", "applications: Input should be a valid list, got 3"),
        (
            "applications: [{import_path: 'serve_app:build_app', deployments: [1]}]",
            "a value has another shape",
        ),
        ("applications: [{import_path: 'serve_app:build_app', deployments: 3}]", "applications.0.deployments: Input"),
        ("{http_options: 5, applications: [{import_path: 'serve_app:build_app'}]}", "http_options: Input should be"),
    ],
)
def test_values_of_other_shapes_are_findings(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "serve.yaml"
    path.write_text(text)
    assert any(finding.startswith(sentence) for finding in check_file(path))


def test_a_key_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "serve.yaml"
    path.write_text("applications:\n- name: a\n  route_prefix: /\n  name: b\n")
    with pytest.raises(ConfigError, match="line 4 is not valid YAML: the key 'name' is already at line 2"):
        check_file(path)


def test_a_made_key_opens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "key", "team-a"]) == 0
    line, said = capsys.readouterr()
    (tmp_path / "keys").write_text(line)
    key = said.splitlines()[0].rpartition(" ")[2]
    assert KeyRing(tmp_path / "keys").name_of(key) == "team-a"
    assert main(["serve", "key", "two words"]) == 1


def test_a_file_of_keys_that_is_here_is_looked_into(tmp_path: Path) -> None:
    keys, path = tmp_path / "keys", tmp_path / "serve.yaml"
    path.write_text((FOLDER / "light.yaml").read_text().replace("/data/secrets/ray-iqa-keys", str(keys)))
    assert check_file(path) == []
    where = "applications.0.args.access.keys_file"
    keys.write_text(f"{hash_of(new_key())} team-a\nteam-b\n")
    assert check_file(path) == [f"{where}: line 2 is not `<sha256 in hex> <name>`, so it is no key"]
    keys.write_text("")
    [finding] = check_file(path)
    assert finding.startswith(f"{where}: access.keys_file must hold at least one key")


def test_both_models_fit_on_the_two_cores_of_a_laptop() -> None:
    models = {"light": {"artifact": "any"}, "reasoning": {"policy": {"model": "any"}}}
    ingress = build_app(ServeConfig.model_validate({**models, "access": {"no_auth": True}}))._bound_deployment
    scorers = [application._bound_deployment for application in ingress.init_args[0].values()]
    assert len(scorers) == 2
    assert sum(deployment.ray_actor_options["num_cpus"] for deployment in (ingress, *scorers)) <= 2
