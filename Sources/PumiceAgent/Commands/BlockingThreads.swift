import Foundation
import Glibc
import Synchronization

/// A few threads that run what blocks, in order of arrival. They live as long as the process, and SIGPIPE is kept from them:
/// C libraries write with plain write(2) to peers that may have just hung up.
///
/// This is no `NIOThreadPool`, since that waits on a condition variable, and those of glibc before 2.41 (Debian 12 has 2.36)
/// can lose a wake-up for good (sourceware bug 25847): under load, our tests hung in `pthread_cond_signal`. Semaphores don't.
final class BlockingThreads: Sendable {
  private struct Queue {
    var waiting: [@Sendable () -> Void] = []
    var next = 0
    /// Threads that shall end with the work they have.
    var surplus = 0

    mutating func take() -> (@Sendable () -> Void)? {
      guard next < waiting.count else { return nil }
      defer {
        next += 1
        if next == waiting.count { (waiting, next) = ([], 0) }
      }
      return waiting[next]
    }
  }

  private let name: String
  private let queue = Mutex(Queue())
  private let arrivals = Semaphore()

  init(_ name: String, count: Int) {
    self.name = name
    for _ in 1...count { addOne() }
  }

  /// In place of a thread that hangs.
  func addOne() {
    // Never let go: the threads, and so this object, live as long as the process.
    let thread = Thread { self.work() }
    thread.name = name
    thread.start()
  }

  /// Called in a thread that hung and is back: it ends with this work.
  func dropOne() { queue.withLock { $0.surplus += 1 } }

  func submit(_ work: @escaping @Sendable () -> Void) {
    queue.withLock { $0.waiting.append(work) }
    arrivals.post()
  }

  private func work() {
    blockBrokenPipes()
    while true {
      arrivals.wait()
      queue.withLock { $0.take() }?()
      let ends = queue.withLock { queue in
        guard queue.surplus > 0 else { return false }
        queue.surplus -= 1
        return true
      }
      if ends { return }
    }
  }
}

/// For threads on which C libraries write to sockets.
func blockBrokenPipes() {
  var signals = sigset_t()
  sigemptyset(&signals)
  sigaddset(&signals, SIGPIPE)
  pthread_sigmask(SIG_BLOCK, &signals, nil)
}

/// A POSIX semaphore (sem_overview(7)).
private final class Semaphore: @unchecked Sendable {
  // Unchecked: sem_t must not move, so it lies behind a pointer, and all that is done to it is atomic.
  private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

  init() { sem_init(semaphore, 0, 0) }

  deinit {
    sem_destroy(semaphore)
    semaphore.deallocate()
  }

  func post() { sem_post(semaphore) }

  func wait() { while sem_wait(semaphore) != 0 {} }
}
