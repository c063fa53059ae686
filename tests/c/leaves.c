/* Calls exit without freeing anything while processes run. It ends at once with its own code, and they end with it. It
 * prints the pids of its ssh clients. */
#include "check.h"

int main(void)
{
    static const char *const HOSTS[3] = {"alpha", "beta", "gamma"};
    sshpm_manager *manager = new_manager();
    sshpm_subscription *subscription = NULL;
    alarm(WATCHDOG_S);
    OK(sshpm_manager_subscribe(manager, &subscription));
    for (int i = 0; i < 3; i++) {
        int64_t client = 0;
        start(manager, HOSTS[i], HOSTS[i], "heartbeat", "1");
        wait_for_heartbeat(manager, HOSTS[i]);
        OK(sshpm_manager_get_runtime_pids(manager, HOSTS[i], &client, NULL, NULL, NULL));
        printf("%lld\n", (long long)client);
    }
    exit(23);
}
