"""The small real data sets that come with scikit-learn: nothing to download."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnspec.arguments import arg
from nnspec.training.dataset import Dataset, Loaded, field_type
from nnspec.training.fault import MissingData
from nnspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np

_STANDARDIZE = "bring each feature to mean 0 and deviation 1, by the statistics of the training part"
_STANDARDIZE_TARGET = "the same for the targets; losses are then in standard deviations"


class _Bundled(Dataset):
    def _bunch(self, loader: str) -> Any:
        try:
            from sklearn import datasets
        except ImportError:
            raise MissingData(
                f"`{type(self).__name__}` comes with scikit-learn, which is not installed",
                code="NNS605",
                helps=("pip install scikit-learn",),
            ) from None
        return getattr(datasets, loader)()


class Digits(_Bundled):
    """1,797 handwritten digits as grey images of 8 x 8, in 10 classes.

    Fields: `image` (0 to 1) and `label`. Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits,
    UCI Machine Learning Repository, 1998 (its test part).
    """

    def types(self, base: Path) -> dict[str, TensorType]:
        return {"image": field_type("float32", 1, 8, 8), "label": field_type("int64")}

    def load(self, base: Path) -> Loaded:
        bunch = self._bunch("load_digits")
        image = (bunch.images / 16.0).astype("float32").reshape(-1, 1, 8, 8)
        return Loaded({"image": image, "label": bunch.target.astype("int64")}, classes=_classes(bunch))


class _Tabular(_Bundled):
    standardize: bool = arg(False, doc=_STANDARDIZE, keyword=True)

    def standardized(self) -> tuple[str, ...]:
        return ("features",) if self.standardize else ()


class Iris(_Tabular):
    """150 iris flowers: 4 measures in centimetres, 3 species.

    Fields: `features`, and the same in two parts, `sepal` and `petal` (length and width of each); `label`. Source:
    R. A. Fisher, The use of multiple measurements in taxonomic problems, 1936.
    """

    def types(self, base: Path) -> dict[str, TensorType]:
        part = field_type("float32", 2)
        return {"features": field_type("float32", 4), "sepal": part, "petal": part, "label": field_type("int64")}

    def load(self, base: Path) -> Loaded:
        bunch = self._bunch("load_iris")
        features = _float(bunch.data)
        fields = {"features": features, "sepal": features[:, :2].copy(), "petal": features[:, 2:].copy()}
        return Loaded(fields | {"label": bunch.target.astype("int64")}, classes=_classes(bunch))

    def standardized(self) -> tuple[str, ...]:
        return ("features", "sepal", "petal") if self.standardize else ()


class Wine(_Tabular):
    """178 Italian wines: 13 chemical measures, 3 cultivars.

    Fields: `features`, `label`. Source: S. Aeberhard and M. Forina, Wine, UCI Machine Learning Repository, 1991.
    """

    def types(self, base: Path) -> dict[str, TensorType]:
        return {"features": field_type("float32", 13), "label": field_type("int64")}

    def load(self, base: Path) -> Loaded:
        bunch = self._bunch("load_wine")
        fields = {"features": _float(bunch.data), "label": bunch.target.astype("int64")}
        return Loaded(fields, classes=_classes(bunch))


class BreastCancer(_Tabular):
    """569 tumours: 30 measures of cell nuclei, malignant (0) or benign (1).

    Fields: `features`; `label` for two scores and `cross_entropy`; `target`, the same as a float column [batch, 1] for
    one probability and `binary_cross_entropy`. Source: W. Wolberg and others, Breast Cancer Wisconsin (Diagnostic),
    UCI Machine Learning Repository, 1995.
    """

    def types(self, base: Path) -> dict[str, TensorType]:
        return {
            "features": field_type("float32", 30),
            "label": field_type("int64"),
            "target": field_type("float32", 1),
        }

    def load(self, base: Path) -> Loaded:
        bunch = self._bunch("load_breast_cancer")
        label = bunch.target.astype("int64")
        fields = {"features": _float(bunch.data), "label": label, "target": _float(label.reshape(-1, 1))}
        return Loaded(fields, classes=_classes(bunch))


class _Regression(_Tabular):
    standardize_target: bool = arg(False, doc=_STANDARDIZE_TARGET, keyword=True)

    def standardized(self) -> tuple[str, ...]:
        return super().standardized() + (("target",) if self.standardize_target else ())


class Diabetes(_Regression):
    """442 patients: 10 measures, and the progression of the disease (25 to 346) a year later.

    Fields: `features`, `target` [batch, 1]. Source: B. Efron and others, Least Angle Regression, 2004.
    """

    def types(self, base: Path) -> dict[str, TensorType]:
        return {"features": field_type("float32", 10), "target": field_type("float32", 1)}

    def load(self, base: Path) -> Loaded:
        bunch = self._bunch("load_diabetes")
        return Loaded({"features": _float(bunch.data), "target": _float(bunch.target.reshape(-1, 1))})


class Linnerud(_Regression):
    """20 men in a fitness club: chin-ups, sit-ups and jumps; weight, waist and pulse.

    Fields: `features` and `target`, 3 columns each. Source: M. Tenenhaus, La regression PLS, 1998.
    """

    def types(self, base: Path) -> dict[str, TensorType]:
        return {"features": field_type("float32", 3), "target": field_type("float32", 3)}

    def load(self, base: Path) -> Loaded:
        bunch = self._bunch("load_linnerud")
        return Loaded({"features": _float(bunch.data), "target": _float(bunch.target)})


def _float(array: np.ndarray) -> np.ndarray:
    return array.astype("float32")


def _classes(bunch: Any) -> dict[str, tuple[str, ...]]:
    return {"label": tuple(str(name) for name in bunch.target_names)}
