"""RunPod's JSON as far as we read it. What is unknown is ignored; what may be missing has a default."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field


class DataCenter(Struct, rename="camel"):
    """A data center, with its stock of one GPU where it is part of one."""

    id: str
    name: str = ""
    availability: str = ""
    network_volume_types: list[str] = field(default_factory=list)


class DataCenters(Struct, rename="camel"):
    """The data centers."""

    data_centers: list[DataCenter] = field(default_factory=list)


class ByCloud(Struct):
    """A figure for each of the two clouds."""

    secure: float = 0.0
    community: float = 0.0


class GpuType(Struct, rename="camel"):
    """A kind of GPU; `price` is in dollars per hour for one, `memory` in GB."""

    id: str
    name: str = ""
    manufacturer: str = ""
    memory: float = 0.0
    secure: bool = False
    community: bool = False
    price: ByCloud = field(default_factory=ByCloud)
    max_count: ByCloud = field(default_factory=ByCloud)
    availability: str = ""
    data_centers: list[DataCenter] = field(default_factory=list)


class GpuTypes(Struct):
    """The catalog of GPUs."""

    gpus: list[GpuType] = field(default_factory=list)


class PodGpu(Struct):
    """Which GPUs a pod has been given."""

    id: str = ""
    count: int = 1


class SshEndpoint(Struct):
    """A pod's own SSH daemon, as it is reached from outside."""

    host: str = ""
    port: int = 0
    username: str = ""


class PodSsh(Struct):
    """How a pod is reached; `direct` is None until a port is mapped."""

    direct: SshEndpoint | None = None


class Use(Struct, rename="camel"):
    """How busy something is, in percent."""

    util: float | None = None
    memory_util: float | None = None


class Runtime(Struct):
    """What a running pod tells; `uptime` in seconds. `gpus` is missing where it tells nothing of them."""

    uptime: float = 0.0
    gpus: list[Use] | None = None
    cpu: Use | None = None


class NetworkMount(Struct, rename="camel"):
    """A network volume in a pod."""

    volume_id: str = ""


class PersistentMount(Struct):
    """The disk that a stop keeps; in GB."""

    size: float = 0.0


class Mounts(Struct):
    """What a pod has mounted."""

    persistent: PersistentMount | None = None
    network: list[NetworkMount] = field(default_factory=list)


class Pod(Struct, rename="camel"):
    """A pod; `cost` is in dollars per hour now, 0 while it is stopped."""

    id: str
    name: str = ""
    status: str = ""
    actions: list[str] = field(default_factory=list)
    ports: list[str] = field(default_factory=list)
    mounts: Mounts = field(default_factory=Mounts)
    gpu: PodGpu | None = None
    cpu: dict[str, Any] | None = None
    cloud: str = ""
    data_center_id: str | None = None
    ssh: PodSsh | None = None
    cost: float | None = None
    runtime: Runtime | None = None
    created_at: str | None = None


class Pods(Struct):
    """All pods."""

    pods: list[Pod] = field(default_factory=list)


class Volume(Struct, rename="camel"):
    """A network volume; `size` in GB."""

    id: str
    name: str = ""
    size: int = 0
    data_center: str = ""


class Volumes(Struct, rename="camel"):
    """All network volumes."""

    network_volumes: list[Volume] = field(default_factory=list)


class LogLine(Struct):
    """A line of a pod's log."""

    line: str = ""
    ts: str = ""


class Myself(Struct, rename="camel"):
    """The account as GraphQL tells it; money in dollars."""

    id: str = ""
    email: str = ""
    client_balance: float | None = None
    current_spend_per_hr: float | None = None
    spend_limit: float | None = None


class MyselfData(Struct):
    """What was asked."""

    myself: Myself | None = None


class GraphFailure(Struct):
    """One refusal."""

    message: str = ""


class MyselfAnswer(Struct):
    """GraphQL answers 200 also to what it refuses."""

    data: MyselfData | None = None
    errors: list[GraphFailure] = field(default_factory=list)
