/* A team of threads that shares out the parts of one job at a time.
 *
 * l1fast_team_run calls function(context, part) once for every part = 0 .. n_parts - 1. Parts are claimed one by one,
 * by the caller as well as by the workers: on a busy machine, where no worker gets a core, the caller does them all and
 * nobody waits for a thread that has not begun. A caller that finds the team taken (by a solve in another thread, or
 * by the job that it is itself a part of) does its parts alone. What a part computes must depend on its number alone;
 * then results do not depend on who did what.
 *
 * A worker that loses its core amid a part keeps the caller waiting. So the caller compares what jobs took with what
 * they would have taken alone, by the time of its own parts, and after a trial with a loss it works alone for a while: twice
 * as long after every further loss, half as long after a gain.
 *
 * Workers are started when first needed, never touch Python, sleep between jobs after a short spin, and live as long as
 * the process. A forked child has none: it begins a team of its own. Threads and locks are Python's own portable ones,
 * which need no interpreter lock; a lock serves as a binary semaphore.
 */
#ifndef L1FAST_TEAM_H
#define L1FAST_TEAM_H

#include <Python.h>
#include <pythread.h>
#include <stdint.h>
#include <string.h>

#ifdef _WIN32
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>
#else
#include <pthread.h>
#include <signal.h>
#include <time.h>
#endif

/* Atomic words, all operations sequentially consistent. add and exchange return the old value. */
#if defined(_MSC_VER) && !defined(__clang__)
typedef volatile LONG64 l1fast_word;
#define L1FAST_LOAD_WORD(a) ((int64_t)ReadAcquire64(a))
#define L1FAST_EXCHANGE(a, to) ((int64_t)InterlockedExchange64((a), (to)))
#define L1FAST_ADD(a, more) ((int64_t)InterlockedExchangeAdd64((a), (more)))
#define L1FAST_REPLACE(a, from, to) (InterlockedCompareExchange64((a), (to), (from)) == (from))
#define L1FAST_PAUSE() YieldProcessor()
#else
typedef int64_t l1fast_word;
#define L1FAST_LOAD_WORD(a) __atomic_load_n((a), __ATOMIC_SEQ_CST)
#define L1FAST_EXCHANGE(a, to) __atomic_exchange_n((a), (int64_t)(to), __ATOMIC_SEQ_CST)
#define L1FAST_ADD(a, more) __atomic_fetch_add((a), (int64_t)(more), __ATOMIC_SEQ_CST)
#define L1FAST_REPLACE(a, from, to) l1fast_replace((a), (from), (to))
static inline int l1fast_replace(l1fast_word *a, int64_t from, int64_t to)
{
    return __atomic_compare_exchange_n(a, &from, to, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
#if defined(__x86_64__) || defined(__i386__)
#define L1FAST_PAUSE() __asm__ __volatile__("pause")
#elif defined(__aarch64__)
#define L1FAST_PAUSE() __asm__ __volatile__("isb")
#else
#define L1FAST_PAUSE() __asm__ __volatile__("" ::: "memory")
#endif
#endif

/* SPINS: looks at the board, with a pause after each, before a thread goes to sleep: 10 to 50 us on today's processors,
 * longer than the serial steps between two passes over X, and too short to take a core from anyone.
 * WAKES: sleepers that each thread wakes when it joins; they wake others, so that no one wakes a large team alone. */
enum { L1FAST_MOST_WORKERS = 255, L1FAST_SPINS = 1000, L1FAST_WAKES = 3, L1FAST_LINE = 64 };

/* Nanoseconds. A trial lasts a few ticks of the scheduler, which may wake a worker on the core of its caller and then
 * needs a tick or two to move it to an idle one. The longest time alone makes vain trials a few percent of the work. */
#define L1FAST_TRIAL 5e6
#define L1FAST_FIRST_ALONE 5e6
#define L1FAST_MOST_ALONE 160e6

typedef void (*l1fast_part)(void *context, Py_ssize_t part);

typedef union {
    struct {
        l1fast_word asleep; /* 1: waits for wake, or is about to; who sets it to 0 releases wake once */
        PyThread_type_lock wake;
    } is;
    char line[L1FAST_LINE];
} l1fast_worker;

/* The board. function, context and n_parts change only while no part is open or unfinished. */
static struct {
    l1fast_word busy;       /* 1: some caller has the team */
    char pad0[L1FAST_LINE];
    l1fast_word open;       /* threads that may join << 32 | parts that nobody has claimed */
    char pad1[L1FAST_LINE];
    l1fast_word unfinished; /* parts not yet done */
    l1fast_word waiting;    /* 1: the caller waits for done, or is about to; who sets it to 0 releases done once */
    char pad2[L1FAST_LINE];
    l1fast_part function;
    void *context;
    Py_ssize_t n_parts;
    double spent;           /* by the jobs of the trial */
    double spent_alone;     /* what they would have taken the caller alone */
    double alone_until;     /* when the next trial begins */
    double alone_for;       /* how long the caller worked alone after the last trial */
    PyThread_type_lock done;
    l1fast_word n_workers;
    l1fast_worker worker[L1FAST_MOST_WORKERS];
} l1fast_team;

#define L1FAST_PARTS_OF(open) ((open) & (int64_t)0xffffffff)
#define L1FAST_THREADS_OF(open) ((open) >> 32)

/* Whether thread number index (0: the caller) may claim a part. */
static int l1fast_may_claim(int64_t open, int64_t index)
{
    return L1FAST_PARTS_OF(open) > 0 && index < L1FAST_THREADS_OF(open);
}

/* A part for thread number index, or -1. Once claimed, the job cannot end before the part does. */
static Py_ssize_t l1fast_claim(int64_t index)
{
    int64_t open = L1FAST_LOAD_WORD(&l1fast_team.open);
    while (l1fast_may_claim(open, index)) {
        if (L1FAST_REPLACE(&l1fast_team.open, open, open - 1))
            return l1fast_team.n_parts - (Py_ssize_t)L1FAST_PARTS_OF(open);
        open = L1FAST_LOAD_WORD(&l1fast_team.open);
    }
    return -1;
}

static void l1fast_do_part(Py_ssize_t part)
{
    l1fast_team.function(l1fast_team.context, part);
    if (L1FAST_ADD(&l1fast_team.unfinished, -1) == 1 && L1FAST_EXCHANGE(&l1fast_team.waiting, 0))
        PyThread_release_lock(l1fast_team.done);
}

static void l1fast_wake_sleepers(void)
{
    const int64_t open = L1FAST_LOAD_WORD(&l1fast_team.open);
    int woken = 0;
    if (L1FAST_PARTS_OF(open) == 0) return;
    for (int64_t k = 0; k < L1FAST_THREADS_OF(open) - 1 && woken < L1FAST_WAKES; k++)
        if (L1FAST_LOAD_WORD(&l1fast_team.worker[k].is.asleep)
            && L1FAST_EXCHANGE(&l1fast_team.worker[k].is.asleep, 0)) {
            PyThread_release_lock(l1fast_team.worker[k].is.wake);
            woken++;
        }
}

static void l1fast_work(void *self)
{
    l1fast_worker *const me = (l1fast_worker *)self;
    const int64_t index = (me - l1fast_team.worker) + 1;
#ifndef _WIN32
    sigset_t signals; /* Ctrl-C and timers are for Python's threads; faults stay with the thread that makes them */
    sigfillset(&signals);
    sigdelset(&signals, SIGSEGV);
    sigdelset(&signals, SIGBUS);
    sigdelset(&signals, SIGFPE);
    sigdelset(&signals, SIGILL);
    sigdelset(&signals, SIGABRT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
#endif
    for (;;) {
        for (int spins = 0; spins < L1FAST_SPINS; spins++) {
            Py_ssize_t part = l1fast_claim(index);
            if (part >= 0) {
                l1fast_wake_sleepers();
                for (; part >= 0; part = l1fast_claim(index)) l1fast_do_part(part);
                spins = 0;
            }
            L1FAST_PAUSE();
        }
        L1FAST_EXCHANGE(&me->is.asleep, 1);
        if (l1fast_may_claim(L1FAST_LOAD_WORD(&l1fast_team.open), index) && L1FAST_EXCHANGE(&me->is.asleep, 0))
            continue; /* a job came in between, and nobody has called me yet */
        PyThread_acquire_lock(me->is.wake, WAIT_LOCK);
    }
}

/* A lock that the next acquire waits for; NULL without memory. */
static PyThread_type_lock l1fast_semaphore(void)
{
    PyThread_type_lock lock = PyThread_allocate_lock();
    if (lock) PyThread_acquire_lock(lock, NOWAIT_LOCK);
    return lock;
}

/* Have so many workers, or as many as the system gives. */
static void l1fast_grow(int64_t wanted)
{
    if (!l1fast_team.done && !(l1fast_team.done = l1fast_semaphore())) return;
    for (int64_t k = l1fast_team.n_workers; k < wanted; k++) {
        l1fast_worker *const next = &l1fast_team.worker[k];
        if (!next->is.wake && !(next->is.wake = l1fast_semaphore())) return;
        if (PyThread_start_new_thread(l1fast_work, next) == PYTHREAD_INVALID_THREAD_ID) return;
        L1FAST_ADD(&l1fast_team.n_workers, 1);
    }
}

static void l1fast_wait_for_workers(void)
{
    for (int spins = 0; spins < L1FAST_SPINS; spins++) {
        if (L1FAST_LOAD_WORD(&l1fast_team.unfinished) == 0) return;
        L1FAST_PAUSE();
    }
    while (L1FAST_LOAD_WORD(&l1fast_team.unfinished) > 0) {
        L1FAST_EXCHANGE(&l1fast_team.waiting, 1);
        if (L1FAST_LOAD_WORD(&l1fast_team.unfinished) == 0 && L1FAST_EXCHANGE(&l1fast_team.waiting, 0)) return;
        PyThread_acquire_lock(l1fast_team.done, WAIT_LOCK); /* a late release for an earlier job only costs a turn */
    }
}

/* Nanoseconds since some moment. */
static double l1fast_clock(void)
{
#ifdef _WIN32
    LARGE_INTEGER ticks, frequency;
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&ticks);
    return (double)ticks.QuadPart * 1e9 / (double)frequency.QuadPart;
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
#endif
}

/* The job on the board, done by caller and workers. */
static void l1fast_do_job(int64_t threads, Py_ssize_t n_parts, double began)
{
    double worked;
    Py_ssize_t part, mine = 0;
    L1FAST_EXCHANGE(&l1fast_team.unfinished, n_parts);
    L1FAST_EXCHANGE(&l1fast_team.open, threads << 32 | n_parts);
    l1fast_wake_sleepers();
    worked = l1fast_clock();
    for (part = l1fast_claim(0); part >= 0; part = l1fast_claim(0), mine++) l1fast_do_part(part);
    worked = l1fast_clock() - worked;
    l1fast_wait_for_workers();
    if (mine == 0) return;
    l1fast_team.spent += l1fast_clock() - began;
    l1fast_team.spent_alone += worked * (double)n_parts / (double)mine;
}

/* At the end of a trial: together or alone? */
static void l1fast_judge(void)
{
    double alone = l1fast_team.alone_for;
    if (l1fast_team.spent < L1FAST_TRIAL) return;
    if (l1fast_team.spent < l1fast_team.spent_alone)
        alone = alone > L1FAST_FIRST_ALONE ? alone / 2 : 0.0;
    else {
        if (alone < L1FAST_MOST_ALONE) alone = alone > 0.0 ? 2 * alone : L1FAST_FIRST_ALONE;
        l1fast_team.alone_until = l1fast_clock() + alone;
    }
    l1fast_team.alone_for = alone;
    l1fast_team.spent = l1fast_team.spent_alone = 0.0;
}

static void l1fast_do_alone(l1fast_part function, void *context, Py_ssize_t n_parts)
{
    for (Py_ssize_t part = 0; part < n_parts; part++) function(context, part);
}

static void l1fast_team_run(l1fast_part function, void *context, Py_ssize_t n_parts, int n_threads)
{
    int64_t threads = n_threads < n_parts ? n_threads : n_parts;
    double now;
    if (threads <= 1 || n_parts > INT32_MAX || L1FAST_EXCHANGE(&l1fast_team.busy, 1)) {
        l1fast_do_alone(function, context, n_parts);
        return;
    }
    l1fast_grow(threads - 1 < L1FAST_MOST_WORKERS ? threads - 1 : L1FAST_MOST_WORKERS);
    if (threads > l1fast_team.n_workers + 1) threads = l1fast_team.n_workers + 1;
    now = l1fast_clock();
    if (now < l1fast_team.alone_until) {
        l1fast_do_alone(function, context, n_parts);
    } else {
        l1fast_team.function = function;
        l1fast_team.context = context;
        l1fast_team.n_parts = n_parts;
        l1fast_do_job(threads, n_parts, now);
        l1fast_judge();
    }
    L1FAST_EXCHANGE(&l1fast_team.busy, 0);
}

static int l1fast_team_workers(void)
{
    return (int)L1FAST_LOAD_WORD(&l1fast_team.n_workers);
}

#ifndef _WIN32
/* In a forked child: its parent's workers, and whoever held the team, are not here. Their locks are left alone. */
static void l1fast_after_fork(void)
{
    memset(&l1fast_team, 0, sizeof(l1fast_team));
}
#endif

/* Called once, when the module is loaded; 0 when all is well. */
static int l1fast_team_begin(void)
{
#ifdef _WIN32
    return 0;
#else
    return pthread_atfork(NULL, NULL, l1fast_after_fork);
#endif
}

#endif
