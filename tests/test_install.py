"""What `install.py` finds on a machine, what it chooses, and what it says when something is missing."""

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import install
from backend.installation import blenders, packages, system, tools
from backend.installation.tools import InstallError

ROOT = Path(__file__).parents[1]
ODD = "Größe mit Raum"
"""A folder's name with a space and letters that are not ASCII."""

FAKE_BLENDER = """#!{python}
import sys
if "--version" in sys.argv:
    print("Color management: using fallback mode")
    print("Blender {version}")
else:
    exec(sys.argv[sys.argv.index("--python-expr") + 1])
"""

Program = Callable[[str, str], Path]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with an odd name, which is the whole PATH."""
    path = tmp_path / ODD
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    return path


@pytest.fixture
def program(folder: Path) -> Program:
    """Puts a program into that folder: its name and its text."""

    def write(name: str, text: str) -> Path:
        path = folder / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    return write


@pytest.fixture
def blender(program: Program) -> Callable[[str], Path]:
    """Puts a Blender of a version into that folder."""
    return lambda version: program("blender", FAKE_BLENDER.format(python=sys.executable, version=version))


@pytest.fixture
def apt(program: Program, folder: Path) -> Path:
    """Puts an apt-get into that folder. The file that has the words it was called with, once it was."""
    program("apt-get", f'#!/bin/sh\necho "$*" >> "{folder}/calls"\n')
    return folder / "calls"


@pytest.fixture
def uv(program: Program, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts a uv into that folder, which fails if its words have one of the file `fails`. The file of its calls."""
    script = f"""#!/bin/sh
echo "$*" >> "{folder}/calls"
while read -r word; do case "$*" in *$word*) echo "cause: no route to $word" >&2; exit 2;; esac; done < "{folder}/fails"
"""
    monkeypatch.setattr(packages, "UV", str(program("uv", script)))
    monkeypatch.setattr(packages, "uv_settings", dict)
    monkeypatch.setattr(packages, "output", lambda command: None)  # an environment without PyTorch
    monkeypatch.delenv("UV_TORCH_BACKEND", raising=False)
    (folder / "fails").touch()
    return folder / "calls"


def use_python(monkeypatch: pytest.MonkeyPatch, *version: int) -> None:
    """As if this were another Python."""
    monkeypatch.setattr(sys, "version_info", (*version, 0))


# ------------------------------------------------------------------------------------------------ which Blender


@pytest.mark.parametrize(("version", "bpy"), [((3, 11), "bpy==5.0.1"), ((3, 13), "bpy==5.2.3")])
def test_without_a_blender_it_is_the_module_for_this_python(
    folder: Path, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int], bpy: str
) -> None:
    use_python(monkeypatch, *version)
    found = blenders.choose_blender(None)
    assert (found.program, found.bpy, found.base) == ("", bpy, sys.executable)


def test_a_blender_on_the_path_comes_before_the_module(blender: Callable[[str], Path]) -> None:
    path = blender("5.2.2 LTS")
    assert blenders.choose_blender(None).program == str(path)
    assert blenders.choose_blender("bpy").bpy


@pytest.mark.parametrize("version", ["4.1.1", "3.6.0", "nothing of the kind"])
def test_a_blender_that_is_too_old_is_passed_over(blender: Callable[[str], Path], version: str) -> None:
    blender(version)
    assert blenders.choose_blender(None).bpy


def test_a_given_blender_may_be_a_program_or_its_folder(blender: Callable[[str], Path]) -> None:
    path = blender("4.2.0")
    assert blenders.given_blender(str(path)) == blenders.given_blender(str(path.parent)) == str(path)


def test_a_given_blender_that_is_too_old_or_none_is_refused(blender: Callable[[str], Path], folder: Path) -> None:
    with pytest.raises(InstallError, match="no Blender at"):
        blenders.choose_blender(str(folder / "nowhere"))
    path = blender("4.1.1")
    with pytest.raises(InstallError, match=r"is 4\.1; 4\.2 or later is needed"):
        blenders.choose_blender(str(path))
    path.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(InstallError, match="does not start"):
        blenders.choose_blender(str(path))


@pytest.mark.parametrize(
    ("there", "bpy"),
    [(["3.11"], "bpy==5.0.1"), (["3.13"], "bpy==5.2.3"), (["3.11", "3.13"], "bpy==5.2.3")],
)
def test_another_python_on_the_machine_gets_the_module_that_fits_it(
    program: Program, monkeypatch: pytest.MonkeyPatch, there: list[str], bpy: str
) -> None:
    use_python(monkeypatch, 3, 12)
    for version in there:
        program(f"python{version}", f"#!/bin/sh\necho {version.replace('.', ' ')}\n")
    found = blenders.choose_blender(None)
    assert found.bpy == bpy
    assert found.base is not None
    assert found.base.endswith(f"{ODD}/python{tools.dotted(found.version)}")


def test_a_python_that_does_not_run_counts_for_nothing(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    use_python(monkeypatch, 3, 14)
    program("python3.13", "#!/bin/sh\necho 'no such version is installed' >&2\nexit 127\n")
    found = blenders.choose_blender(None)
    assert (found.bpy, found.base) == ("bpy==5.2.3", None)
    assert "uv has to bring" in str(found)


def test_when_no_python_for_the_module_can_be_had_the_message_says_what_to_do(uv: Path, folder: Path) -> None:
    (folder / "fails").write_text("python\n")
    with pytest.raises(InstallError, match=r"(?s)Python 3\.11 and 3\.13.*--blender.*python3\.13.*no route") as error:
        packages.fetch_interpreter((3, 13))
    assert uv.read_text().splitlines() == ["python install 3.13"]
    assert "other" in str(error.value)


def test_a_module_runs_in_a_blender_without_the_users_settings(
    blender: Callable[[str], Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = blender("4.2.0")
    monkeypatch.setattr(blenders, "TOOLS", folder)
    code = "import os, sys, pathlib\nplace = os.environ['BLENDER_USER_RESOURCES']\n"
    code += "pathlib.Path(sys.argv[1]).write_text(f'{os.path.isdir(place)} {place} {__name__}')\nsys.exit(7)\n"
    (folder / "a_module_of_theirs.py").write_text(code)
    said = folder / "said ä.txt"
    assert blenders.run_in_blender(blenders.Blender(program=str(path)), "a_module_of_theirs", str(said)) == 7
    there, place, name = said.read_text().split()
    assert (there, name) == ("True", "__main__")
    assert not Path(place).exists()


# ------------------------------------------------------------------------------------ looked at before a download


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13), (3, 14)])
def test_these_pythons_are_supported(monkeypatch: pytest.MonkeyPatch, version: tuple[int, int]) -> None:
    use_python(monkeypatch, *version)
    system.check_python()


@pytest.mark.parametrize("version", [(3, 9), (3, 10), (3, 15)])
def test_other_pythons_are_refused_with_the_name_of_one_that_is_there(
    program: Program, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int]
) -> None:
    use_python(monkeypatch, *version)
    with pytest.raises(InstallError, match=rf"Python {tools.dotted(version)}; 3\.11 to 3\.14 .* install one of those"):
        system.check_python()
    program("python3.12", "#!/bin/sh\necho 3 12\n")
    with pytest.raises(InstallError, match=r"run it with .*python3\.12"):
        system.check_python()


def test_old_pythons_can_read_the_installer_to_its_message() -> None:
    for file in (ROOT / "install.py", ROOT / "backend" / "__init__.py", *(ROOT / "backend/installation").glob("*.py")):
        ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 7))


def test_the_installer_needs_no_package() -> None:
    command = [sys.executable, "-E", "-S", "install.py", "--help"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0


def test_root_gets_the_missing_packages_by_one_call_of_apt(
    apt: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    system.bring_packages(["python3.13-venv", "libgl1"], [None])
    update, install_call = apt.read_text().splitlines()
    assert update.startswith("update")
    assert install_call.startswith("install -y")
    assert install_call.endswith(" python3.13-venv libgl1")
    said = capfd.readouterr().out.strip().splitlines()
    assert len(said) == 1
    assert said[0].endswith("Installing system packages with apt: python3.13-venv libgl1")


def test_others_are_told_the_one_command(apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(InstallError) as error:
        system.bring_packages(["python3.13-venv", "libgl1"], [])
    assert str(error.value).endswith("sudo apt-get install -y --no-install-recommends python3.13-venv libgl1")
    assert "\n" not in str(error.value)
    assert not apt.exists()


def test_without_apt_the_packages_are_named(folder: Path) -> None:
    with pytest.raises(InstallError, match="Debian calls libgl1 with this system's package manager"):
        system.bring_packages(["libgl1"], [])


def test_every_problem_has_its_line_and_nothing_is_installed(apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(InstallError) as error:
        system.bring_packages(["libgl1"], ["no disk", None, "no permission"])
    assert [line.strip() for line in str(error.value).splitlines()] == ["no disk", "no permission"]
    assert not apt.exists()


def test_missing_libraries_and_venv_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "LIBRARIES", {"libc.so.6": "libc6", "libnowhere.so.9": "libnowhere9"})
    assert system.missing_packages(environments=False, module=True) == ["libnowhere9"]
    assert system.missing_packages(environments=False, module=False) == []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    use_python(monkeypatch, 3, 13)
    assert system.missing_packages(environments=True, module=True) == ["python3.13-venv", "libnowhere9"]
    assert system.missing_packages(environments=False, module=True) == ["libnowhere9"]


def test_too_little_disk_is_said_with_both_numbers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "not made yet"))
    assert system.disk_problem(0) is None
    assert "99999999.0 GB are needed" in (system.disk_problem(99999999) or "")


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    new = tmp_path / ODD / "new" / "newer"
    assert system.write_problem(new) is None
    assert not new.parent.exists()
    assert "/proc" in (system.write_problem(Path("/proc/nothing/here")) or "")


def test_nothing_is_made_or_downloaded_when_something_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "disk_problem", lambda gigabytes: "no disk")
    monkeypatch.setattr(install, "ensure_base", lambda: pytest.fail("went on"))
    with pytest.raises(InstallError, match="no disk"):
        install.prepare(None)


def test_doctor_names_everything_in_a_new_folder_with_an_odd_name(tmp_path: Path) -> None:
    copy = tmp_path / ODD
    for name in ("backend/installation", "blender_addon/building"):
        shutil.copytree(ROOT / name, copy / name)
    for name in ("install.py", "backend/__init__.py", "blender_addon/__init__.py", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, copy / name)
    command = [sys.executable, "install.py", "doctor", "--blender", str(tmp_path / "nowhere")]
    result = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == ""
    broken = [line.partition(":")[0] for line in result.stdout.splitlines() if line.startswith("BROKEN")]
    names = [
        "service environment",
        "starter model",
        "extension zip",
        "installation record",
        "Blender for demo and tests",
    ]
    assert broken == [f"BROKEN {name}" for name in names]
    assert "ok     project folder: " in result.stdout
    assert str(copy) in result.stdout
    assert not (copy / ".venv").exists()


# ------------------------------------------------------------------------------------------------------ packages


def test_without_a_card_pytorch_is_the_build_for_processors(uv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "nvidia_card", lambda: False)
    assert packages.torch_build() == ["--torch-backend=cpu"]
    assert "--dry-run" in uv.read_text()


def test_with_a_card_uv_looks_which_build_its_driver_runs(
    uv: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(packages, "nvidia_card", lambda: True)
    assert packages.torch_build() == ["--torch-backend=auto"]
    (folder / "fails").write_text("backend=auto\n")
    assert packages.torch_build() == ["--torch-backend=cpu"]
    assert "driver" in capsys.readouterr().out


def test_the_users_choice_of_pytorchs_build_counts(uv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_TORCH_BACKEND", "cu126")
    assert packages.torch_build() == ["--torch-backend=cu126"]


def test_an_installed_pytorch_stays(uv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin = next(line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith("torch=="))
    monkeypatch.setattr(packages, "output", lambda command: f"{pin.removeprefix('torch==')}+cpu")
    assert packages.torch_build() == []
    assert not uv.exists(), "no index was asked"
    monkeypatch.setattr(packages, "output", lambda command: "2.6.0")
    monkeypatch.setattr(packages, "nvidia_card", lambda: False)
    assert packages.torch_build() == ["--torch-backend=cpu"]


def test_when_pytorchs_index_cannot_be_reached_one_line_says_so(
    uv: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(packages, "nvidia_card", lambda: False)
    (folder / "fails").write_text("torch-backend\n")
    assert packages.torch_build() == []
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert "(no route to torch-backend): the ordinary index's build is taken" in said
    monkeypatch.setattr(packages, "CUDA_SIZE", 1e9)
    if sys.platform == "linux":
        with pytest.raises(InstallError, match="GB are needed"):
            packages.torch_build()


def test_pip_does_what_uv_cannot(uv: Path, folder: Path, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "python", lambda environment: str(folder / "python"))
    program("python", f'#!/bin/sh\necho "pip: $*" >> "{folder}/calls"\n')
    packages.install_packages(folder, ["six"], ["--torch-backend=cpu"])
    (folder / "fails").write_text("six\n")
    packages.install_packages(folder, ["six"], ["--torch-backend=cpu"])
    first, second, third = uv.read_text().splitlines()
    assert first == second
    assert first.endswith("--torch-backend=cpu six")
    assert third.startswith("pip: -m pip install")
    assert third.endswith(" six")
    assert "torch" not in third


def test_uv_gets_what_pip_is_configured_with(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "global.index-url='https://packages.example/simple'",
        "global.extra-index-url='\\nfile:///a/simple\\nfile:///b/simple'",
        "global.find-links='/wheels'",
        "global.timeout='60'",
        ":env:.find-links='/mine /yours'",
        "install.cert='/certificates.pem'",
    ]
    monkeypatch.setattr(packages, "output", lambda command: "\n".join(lines))
    monkeypatch.setenv("SSL_CERT_FILE", "/the user's own.pem")
    assert packages.uv_settings() == {
        "UV_DEFAULT_INDEX": "https://packages.example/simple",
        "UV_INDEX": "file:///a/simple file:///b/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/mine,/yours",
    }


@pytest.mark.slow
def test_an_environment_that_does_not_run_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = tmp_path / ODD / ".venv"
    monkeypatch.setattr(packages, "SERVICE", environment)
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to("/a/python/that/was/removed")
    (environment / packages.MARK).write_text("what was installed")
    assert tools.python_version(tools.python(environment)) is None
    packages.create_environment(environment, sys.executable)
    assert tools.python_version(tools.python(environment)) == sys.version_info[:2]
    assert not (environment / packages.MARK).exists()


def test_a_second_run_installs_nothing_and_other_pins_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(packages, "install_packages", lambda folder, arguments, only=(): calls.append([*arguments]))
    monkeypatch.setattr(packages, "ROOT", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    pins = tmp_path / "constraints.txt"

    def ensure(*requirements: str, pin: str) -> int:
        pins.write_text(pin)
        calls.clear()
        packages.ensure_environment(tmp_path, requirements, "1 MB")
        return len(calls)

    assert ensure("a", pin="a==1") == 1
    assert ensure("a", pin="a==1") == 0
    assert ensure("a", "b", pin="a==1") == 1
    assert ensure("a", pin="a==1") == ensure("a", "b", pin="a==1") == 0
    assert ensure("a", pin="a==2") == 1
    assert ensure("a", pin="a==1") == 1, "what an earlier run had put there is not there any more"
