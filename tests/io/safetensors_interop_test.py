"""Files are exchanged with the reference implementation of safetensors: ours is read by it, its is read by ours."""
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import safetensors
    from safetensors.numpy import load_file, save_file
except ImportError as missing:
    print(f"skipped: {missing}; cmake/python_env.sh installs it")
    sys.exit(77)

program = pathlib.Path(sys.argv[1]) / "tests" / "safetensors_test"
if not program.exists():
    sys.exit(f"{program} is not built")

with tempfile.TemporaryDirectory() as folder:
    theirs = {kind: np.arange(6, dtype=kind).reshape(2, 3) for kind in ("float64", "float32", "float16")}
    theirs |= {kind: np.arange(-1, 5, dtype=kind) for kind in ("int64", "int32", "int16", "int8")}
    theirs |= {
        "uint8": np.array([0, 127, 255], dtype=np.uint8),
        "bool": np.array([True, False, True]),
        "scalar": np.array(2.5, dtype=np.float32),
        "empty": np.zeros((0, 4), dtype=np.float32),
    }
    save_file(theirs, f"{folder}/python.safetensors", metadata={"framework": "numpy"})

    def ours():
        subprocess.run([program, "--gtest_filter=Interop.*"], env=os.environ | {"GRADUS_INTEROP": folder}, check=True)

    ours()

    path = f"{folder}/gradus.safetensors"
    with safetensors.safe_open(path, framework="np") as file:
        assert file.metadata() == {"made by": "gradus", "länge": "7"}, file.metadata()
        names = set(file.keys())
        kinds = {"x.float32": "float32", "x.float64": "float64", "x.float16": "float16", "x.int8": "int8", "x.int16": "int16",
                 "x.int32": "int32", "x.int64": "int64", "x.uint8": "uint8", "x.bool": "bool"}
        for name, kind in kinds.items():
            x = file.get_tensor(name)
            assert x.dtype == kind and x.shape == (3, 5), (name, x.dtype, x.shape)
        assert "x.bfloat16" in names and 'größe "quoted"\n' in names, names
        assert file.get_tensor("scalar") == 2.5 and file.get_tensor("scalar").shape == ()
        assert file.get_tensor("empty").shape == (0, 4) and file.get_tensor("empty").dtype == np.int16
        save_file({name: file.get_tensor(name) for name in names - {"x.bfloat16"}}, f"{folder}/echo.safetensors")
    ours()
    print(f"{len(names)} tensors exchanged with safetensors {safetensors.__version__}")
