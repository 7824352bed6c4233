// Preloaded into a service: moves its wall clock by CLOCK_SHIFT_SECONDS. The clocks that only grow stay right, as
// they do where an administrator sets the time. (libfaketime does not start beside jemalloc.)

#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

// Later than any time since a machine's start, earlier than any wall clock.
static const time_t EPOCHS = 1000000000;

static int (*posix_wait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
static int (*c11_wait)(cnd_t *, mtx_t *, const struct timespec *);

__attribute__((constructor)) static void find(void) {
    posix_wait = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    c11_wait = dlsym(RTLD_NEXT, "cnd_timedwait");
}

static time_t shift(void) {
    const char *seconds = getenv("CLOCK_SHIFT_SECONDS");
    return seconds ? atol(seconds) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        now->tv_sec += shift();
    }
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int result = syscall(SYS_gettimeofday, now, zone);
    if (result == 0) {
        now->tv_sec += shift();
    }
    return result;
}

time_t time(time_t *now) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (now) {
        *now = exact.tv_sec;
    }
    return exact.tv_sec;
}

// The kernel knows nothing of the shift: a wall clock's time that is waited for is given to it unshifted.
static struct timespec real(const struct timespec *until) {
    struct timespec time = *until;
    if (time.tv_sec > EPOCHS) {
        time.tv_sec -= shift();
    }
    return time;
}

int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
    struct timespec time = real(until);
    return posix_wait(cond, mutex, &time);
}

int cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mutex, const struct timespec *restrict until) {
    struct timespec time = real(until);
    return c11_wait(cond, mutex, &time);
}
