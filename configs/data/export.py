"""Write the example data from the copies in scikit-learn and statsmodels: `python configs/data/export.py`.

digits.npz, iris.csv, diabetes.csv and nino.csv are written beside this file, with the same bytes every time.
"""

import csv
import io
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from sklearn import datasets

HERE = Path(__file__).parent


def write_npz(path: Path, **arrays: np.ndarray) -> None:
    """Like numpy.savez_compressed, but without the time of day in the file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            stream = io.BytesIO()
            np.save(stream, array)
            member = zipfile.ZipInfo(f"{name}.npy")
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, stream.getvalue(), compresslevel=9)


def write_csv(path: Path, header: list[str], rows: list[list[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


digits = datasets.load_digits()
write_npz(HERE / "digits.npz", x=digits.data.astype(np.float32), y=digits.target.astype(np.uint8))

iris = datasets.load_iris()
write_csv(
    HERE / "iris.csv",
    ["sepal_length", "sepal_width", "petal_length", "petal_width", "species"],
    [[*x, str(iris.target_names[y])] for x, y in zip(iris.data.tolist(), iris.target, strict=True)],
)

diabetes = datasets.load_diabetes(scaled=False)
write_csv(
    HERE / "diabetes.csv",
    [*diabetes.feature_names, "progression"],
    [[*x, y] for x, y in zip(diabetes.data.tolist(), diabetes.target.tolist(), strict=True)],
)

package = find_spec("statsmodels")  # found and not imported: a file of it is all that is needed
if package is None or not package.submodule_search_locations:
    raise SystemExit("nino.csv is not written: pip install statsmodels")
(place,) = package.submodule_search_locations
with (Path(place) / "datasets" / "elnino" / "elnino.csv").open(newline="", encoding="utf-8") as file:
    _, *years = csv.reader(file)
write_csv(
    HERE / "nino.csv",
    ["month", "temperature"],
    [[f"{year}-{month:02d}", float(value)] for year, *values in years for month, value in enumerate(values, 1)],
)
