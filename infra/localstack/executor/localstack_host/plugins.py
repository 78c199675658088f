"""The entry points LocalStack (plux) finds. Imports are late: plux loads this
module to list the plugins, long before the services are wanted."""

from localstack.runtime import hooks
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin


class HostRuntimeExecutorPlugin(RuntimeExecutorPlugin):
    name = "host"

    def load(self, *args, **kwargs):
        from localstack_host.executor import HostRuntimeExecutor

        return HostRuntimeExecutor


@hooks.on_infra_start()
def hold_lifeline():
    from localstack_host import lifeline

    lifeline.install()


@hooks.on_infra_start()
def use_host_dynamodb():
    from localstack_host import dynamodb

    dynamodb.install()


@hooks.on_infra_start()
def enforce_permissions():
    from localstack_host import permissions

    permissions.install()


@hooks.on_infra_start()
def run_schedules():
    from localstack_host import scheduler

    scheduler.install()


@hooks.on_infra_shutdown()
def stop_schedules():
    from localstack_host import scheduler

    scheduler.stop()
