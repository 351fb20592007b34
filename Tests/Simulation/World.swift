import PumiceModel
import Synchronization

/// A single-threaded world with its own time and dice: the same seed gives the same run, step for step.
///
/// Every job of every simulated process waits in one queue; the dice pick the next. When nothing can run, time jumps to
/// the next timer. Only the thread inside `run` ever touches a process, so what looks concurrent is merely interleaved.
final class World: Sendable {
  private struct Timer {
    let due: Int64
    let sequence: Int
    let wake: @Sendable () -> Void
  }

  private struct State {
    var dice: SplitMix64
    var now: Int64 = 1_000_000_000_000
    var ready: [(job: UnownedJob, process: Process)] = []
    var timers: [Timer] = []
    var sequence = 0
    var steps = 0
  }

  let seed: UInt64
  private let state: Mutex<State>

  init(seed: UInt64) {
    self.seed = seed
    state = Mutex(State(dice: SplitMix64(seed: seed)))
  }

  var now: Timestamp { Timestamp(milliseconds: state.withLock { $0.now }) }
  var steps: Int { state.withLock { $0.steps } }

  func roll() -> UInt64 { state.withLock { $0.dice.next() } }

  func random<Number: FixedWidthInteger & Sendable>(_ range: ClosedRange<Number>) -> Number {
    state.withLock { Number.random(in: range, using: &$0.dice) }
  }

  func chance(_ percent: Double) -> Bool {
    state.withLock { Double.random(in: 0..<100, using: &$0.dice) < percent }
  }

  func pick<Element>(_ elements: [Element]) -> Element? {
    elements.isEmpty ? nil : elements[random(0...(elements.count - 1))]
  }

  /// Suspends for that much simulated time; throws at once when the task is cancelled.
  func sleep(_ duration: Duration) async throws {
    let once = Once()
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        if once.arm(continuation) {
          at(now + duration) { once.fire(.success(())) }
        }
      }
    } onCancel: {
      once.fire(.failure(CancellationError()))
    }
  }

  /// Calls back at that moment, on the thread inside `run`.
  func at(_ moment: Timestamp, _ wake: @escaping @Sendable () -> Void) {
    state.withLock { state in
      state.sequence += 1
      let timer = Timer(due: max(moment.milliseconds, state.now), sequence: state.sequence, wake: wake)
      let position = state.timers.partitioningIndex { ($0.due, $0.sequence) <= (timer.due, timer.sequence) }
      state.timers.insert(timer, at: position)
    }
  }

  fileprivate func enqueue(_ job: UnownedJob, of process: Process) {
    state.withLock { $0.ready.append((job, process)) }
  }

  /// Runs until the condition holds or time is up. `observe` is called after every step.
  @discardableResult
  func run(for limit: Duration, until isDone: () -> Bool = { false }, observe: () -> Void = {}) -> Bool {
    let end = now + limit
    while !isDone() {
      let next: (job: UnownedJob, process: Process)? = state.withLock { state in
        guard !state.ready.isEmpty else { return nil }
        state.steps += 1
        // Mostly in order, as real executors do; sometimes not.
        let index =
          state.dice.next() % 4 == 0 ? Int.random(in: 0..<state.ready.count, using: &state.dice) : 0
        return state.ready.remove(at: index)
      }
      if let next {
        if next.process.takeStep() { next.job.runSynchronously(on: next.process.asUnownedTaskExecutor()) }
        observe()
        continue
      }
      let timer: Timer? = state.withLock { state in
        guard let last = state.timers.last, last.due <= end.milliseconds else { return nil }
        state.now = max(state.now, last.due)
        return state.timers.removeLast()
      }
      guard let timer else {
        state.withLock { $0.now = max($0.now, end.milliseconds) }
        return isDone()
      }
      timer.wake()
    }
    return true
  }
}

/// A process of the world: the executor of its tasks. Killed, none of them ever takes another step.
final class Process: TaskExecutor {
  private struct State {
    var isAlive = true
    var stepsToLive: Int?
    var onDeath: (@Sendable () -> Void)?
  }

  let name: String
  private let world: World
  private let state = Mutex(State())

  init(_ name: String, in world: World) {
    self.name = name
    self.world = world
  }

  var isAlive: Bool { state.withLock { $0.isAlive } }

  func kill() {
    let onDeath = state.withLock { state in
      defer { state.onDeath = nil }
      state.isAlive = false
      return state.onDeath
    }
    onDeath?()
  }

  /// Kills it after that many more steps, wherever it is then: this is how a crash lands at any await.
  func kill(afterSteps steps: Int, then onDeath: @escaping @Sendable () -> Void) {
    state.withLock { state in
      state.stepsToLive = steps
      state.onDeath = onDeath
    }
  }

  /// Takes back a death that has not come yet.
  func spare() {
    state.withLock { state in
      state.stepsToLive = nil
      state.onDeath = nil
    }
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    if isAlive { world.enqueue(job, of: self) }
  }

  fileprivate func takeStep() -> Bool {
    let isTimeToDie = state.withLock { state in
      guard let left = state.stepsToLive else { return false }
      state.stepsToLive = left - 1
      return left <= 0 && state.isAlive
    }
    if isTimeToDie { kill() }
    return isAlive
  }

  /// Starts a task of this process.
  @discardableResult
  func start(_ body: @escaping @Sendable () async -> Void) -> Task<Void, Never> {
    Task(executorPreference: self) { await body() }
  }
}

/// A continuation that is resumed by whoever comes first.
private final class Once: Sendable {
  private struct State {
    var continuation: CheckedContinuation<Void, any Error>?
    var outcome: Result<Void, any Error>?
  }

  private let state = Mutex(State())

  /// False when it fired before, and the continuation was resumed with that.
  func arm(_ continuation: CheckedContinuation<Void, any Error>) -> Bool {
    let outcome = state.withLock { state in
      if state.outcome == nil { state.continuation = continuation }
      return state.outcome
    }
    if let outcome { continuation.resume(with: outcome) }
    return outcome == nil
  }

  func fire(_ outcome: Result<Void, any Error>) {
    let continuation = state.withLock { state in
      guard state.outcome == nil else { return nil as CheckedContinuation<Void, any Error>? }
      state.outcome = outcome
      defer { state.continuation = nil }
      return state.continuation
    }
    continuation?.resume(with: outcome)
  }
}

/// Sebastiano Vigna's SplitMix64: small, fast, and the same everywhere.
struct SplitMix64: RandomNumberGenerator, Sendable {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

extension Array {
  /// The first index whose element fulfils the condition, in an array where all such come last.
  fileprivate func partitioningIndex(where belongsToEnd: (Element) -> Bool) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if belongsToEnd(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
