# SPDX-License-Identifier: Apache-2.0
"""The examples of clusters: files that are read as they should be, and names that fit together."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")


@pytest.fixture(scope="module")
def folder(root: Path) -> Path:
    return root / "examples" / "clusters"


@pytest.fixture(scope="module")
def manifest(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the documents of the manifest by kind and name."""
    documents = list(yaml.safe_load_all((folder / "kubernetes.yaml").read_text(encoding="utf-8")))
    return {(each["kind"], each["metadata"]["name"]): each for each in documents}


def container(deployment: dict[str, Any]) -> dict[str, Any]:
    found = deployment["spec"]["template"]["spec"]["containers"]
    assert len(found) == 1
    return dict(found[0])


def test_kubernetes_has_its_parts(manifest: dict[tuple[str, str], dict[str, Any]]) -> None:
    assert {(key, each["apiVersion"]) for key, each in manifest.items()} == {
        (("ConfigMap", "hwsim-requirements"), "v1"),
        (("Deployment", "hwsim-scheduler"), "apps/v1"),
        (("Service", "hwsim-scheduler"), "v1"),
        (("Deployment", "hwsim-worker"), "apps/v1"),
    }


@pytest.mark.parametrize("name", ["hwsim-scheduler", "hwsim-worker"])
def test_kubernetes_deployments_fit_together(
    manifest: dict[tuple[str, str], dict[str, Any]], name: str, tmp_path: Path
) -> None:
    deployment = manifest["Deployment", name]
    template = deployment["spec"]["template"]
    assert deployment["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]
    one = container(deployment)
    mounts = {each["name"]: each["mountPath"] for each in one["volumeMounts"]}
    volumes = {each["name"]: each["configMap"]["name"] for each in template["spec"]["volumes"]}
    assert mounts.keys() == volumes.keys()
    assert {("ConfigMap", each) for each in volumes.values()} <= manifest.keys()
    command = one["args"][0]
    assert f"-r {mounts['requirements']}/requirements.txt && exec dask " in command
    assert one["command"] == ["sh", "-c"]
    subprocess.run(["sh", "-n", "-c", command], check=True)


def test_kubernetes_service_leads_workers_to_the_scheduler(manifest: dict[tuple[str, str], dict[str, Any]]) -> None:
    service, scheduler = manifest["Service", "hwsim-scheduler"], manifest["Deployment", "hwsim-scheduler"]
    labels = scheduler["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == labels
    assert manifest["Deployment", "hwsim-worker"]["spec"]["template"]["metadata"]["labels"] != labels
    (port,) = service["spec"]["ports"]
    named = {each["name"]: each["containerPort"] for each in container(scheduler)["ports"]}
    assert f"dask scheduler --port {named[port['targetPort']]} " in container(scheduler)["args"][0]
    worker = container(manifest["Deployment", "hwsim-worker"])["args"][0]
    assert f"dask worker tcp://{service['metadata']['name']}:{port['port']} --nworkers 1 --nthreads 1" in worker


def test_kubernetes_requirements_are_the_package(manifest: dict[tuple[str, str], dict[str, Any]], root: Path) -> None:
    lines = manifest["ConfigMap", "hwsim-requirements"]["data"]["requirements.txt"].splitlines()
    version = re.search(r'^version = "(.+)"$', (root / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert version is not None
    assert f"hwsim[sweep]=={version[1]}" in lines


def test_slurm_without_jobqueue_says_what_it_needs(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "dask_jobqueue.py").write_text("raise ModuleNotFoundError", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, folder / "slurm.py", "STUDY.toml"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "this needs dask-jobqueue: pip install dask-jobqueue\n")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_ssh_script_wrong_arguments(folder: Path) -> None:
    subprocess.run(["bash", "-n", folder / "ssh.sh"], check=True)
    done = subprocess.run(["bash", folder / "ssh.sh", "STUDY.toml"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "STUDY.toml HOST [HOST...]" in done.stderr


def test_options_of_dask_are_there(folder: Path) -> None:
    """Every option that the files give to Dask's commands is one of theirs."""
    click = pytest.importorskip("click")
    scheduler = pytest.importorskip("distributed.cli.dask_scheduler").main
    worker = pytest.importorskip("distributed.cli.dask_worker").main
    known = {
        name: {option for each in command.params if isinstance(each, click.Option) for option in
               (*each.opts, *each.secondary_opts)}
        for name, command in (("scheduler", scheduler), ("worker", worker))
    }  # fmt: skip
    checked = 0
    for file in folder.iterdir():
        for name, rest in re.findall(r"dask (scheduler|worker) (.*)", file.read_text(encoding="utf-8")):
            given = set(re.findall(r"--[a-z-]+", rest))
            assert given <= known[name], file
            checked += len(given)
    assert checked >= 10
