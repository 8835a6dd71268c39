"""Lambda's on-demand machines. A machine there runs or is gone: nothing can be stopped and kept."""

from personadesk.providers.lambda_cloud.calls import LambdaCloud

__all__ = ["LambdaCloud"]
