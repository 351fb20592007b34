import PumiceModel
import PumiceWire
import ServiceLifecycle
import Synchronization
import Testing

@testable import PumiceAgent

@Suite(.timeLimit(.minutes(5))) struct QuiescenceTests {
  private let fixture = NodeFixture()
  private let clock = StandingClock()
  private var instance: InstanceID { fixture.instance }
  private var isFrozen: Bool { !fixture.hypervisorWorld.frozen.isEmpty }
  private var isRecorded: Bool { !InMemoryRecordStore(on: fixture.frozenShelf).all.isEmpty }

  /// Runs the body with an agent's quiescence, whose time stands until the clock is moved.
  private func withQuiescence(_ body: (Quiescence) async throws -> Void) async throws {
    let clock = clock
    let quiescence = fixture.quiescence { try await clock.sleep($0) }
    try await withThrowingTaskGroup { group in
      group.addTask { try await quiescence.run() }
      try await body(quiescence)
      group.cancelAll()
    }
  }

  private func until(_ what: String, _ condition: () -> Bool) async throws {
    for _ in 0..<4000 {
      if condition() { return }
      try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record("It did not come about that \(what).")
  }

  @Test func aGuestHoldsStillFromFreezeToThaw() async throws {
    try await withQuiescence { (quiescence) async throws in
      let holder = SnapshotID.random()
      #expect(try await quiescence.freeze(instance, for: .seconds(10), by: holder) == nil)
      #expect(isFrozen && isRecorded)
      #expect(try await quiescence.thaw(instance, by: holder))
      #expect(!isFrozen && !isRecorded)
      #expect(try await !quiescence.thaw(instance, by: holder), "It has let go already.")
    }
  }

  @Test func itGoesOnByItselfWhenTheTimeIsUp() async throws {
    try await withQuiescence { (quiescence) async throws in
      let holder = SnapshotID.random()
      _ = try await quiescence.freeze(instance, for: .seconds(10), by: holder)
      try await clock.advance(by: .seconds(9))
      #expect(isFrozen)
      try await clock.advance(by: .seconds(1))
      try await until("it is thawed") { !isFrozen && !isRecorded }
      #expect(try await !quiescence.thaw(instance, by: holder))
      #expect(try await quiescence.freeze(instance, for: .seconds(10), by: holder) != nil, "Its time is over.")
      #expect(!isFrozen)
    }
  }

  @Test func severalHoldersShareOneFreezeAndItsEnd() async throws {
    try await withQuiescence { (quiescence) async throws in
      let (one, other, third) = (SnapshotID.random(), SnapshotID.random(), SnapshotID.random())
      _ = try await quiescence.freeze(instance, for: .seconds(10), by: one)
      try await clock.advance(by: .seconds(6))
      #expect(try await quiescence.freeze(instance, for: .seconds(10), by: other) == nil)
      #expect(try await quiescence.freeze(instance, for: .seconds(10), by: third) == nil)
      #expect(try await quiescence.thaw(instance, by: one))
      #expect(isFrozen)
      #expect(try await quiescence.thaw(instance, by: other))
      try await clock.advance(by: .seconds(4))
      try await until("it is thawed") { !isFrozen }
      #expect(try await !quiescence.thaw(instance, by: third))
    }
  }

  @Test func theExpiryOfAnEarlierFreezeDoesNotEndALaterOne() async throws {
    try await withQuiescence { (quiescence) async throws in
      let (one, other) = (SnapshotID.random(), SnapshotID.random())
      _ = try await quiescence.freeze(instance, for: .seconds(10), by: one)
      _ = try await quiescence.thaw(instance, by: one)
      try await clock.advance(by: .seconds(5))
      _ = try await quiescence.freeze(instance, for: .seconds(10), by: other)
      try await clock.advance(by: .seconds(5), whenSleeping: 2)
      // What expires now has had its turn when the next call has had its own.
      #expect(try await quiescence.freeze(instance, for: .seconds(10), by: .random()) == nil)
      #expect(isFrozen)
      #expect(try await quiescence.thaw(instance, by: other))
    }
  }

  @Test func whatAnEarlierLifeOfTheAgentFrozeIsThawedAtStart() async throws {
    let earlier = fixture.quiescence()
    _ = try await earlier.freeze(instance, for: .seconds(10), by: .random())
    #expect(isFrozen)
    try await withQuiescence { _ in try await until("it is thawed") { !isFrozen && !isRecorded } }
  }

  @Test func aShutdownLeavesNobodyFrozen() async throws {
    let clock = clock
    let quiescence = fixture.quiescence { try await clock.sleep($0) }
    let services = ServiceGroup(services: [quiescence], logger: .silent)
    try await withThrowingTaskGroup { group in
      group.addTask { try await services.run() }
      _ = try await quiescence.freeze(instance, for: .seconds(10), by: .random())
      await services.triggerGracefulShutdown()
      try await group.waitForAll()
    }
    #expect(!isFrozen && !isRecorded)
  }

  @Test func aGuestThatCannotBeAskedSaysWhy() async throws {
    try await withQuiescence { (quiescence) async throws in
      fixture.hypervisorWorld.setGuestAgent(false, in: instance)
      let reason = try await quiescence.freeze(instance, for: .seconds(10), by: .random())
      #expect(reason?.contains("guest agent") == true)
      fixture.hypervisorWorld.shutOff(instance)
      #expect(try await quiescence.freeze(instance, for: .seconds(10), by: .random())?.contains("run") == true)
      #expect(try await quiescence.freeze(.random(), for: .seconds(10), by: .random()) != nil)
      #expect(!isRecorded)
    }
  }

  @Test func somebodyElsesFreezeIsLeftAlone() async throws {
    _ = try fixture.hypervisorWorld.freeze(instance)
    try await withQuiescence { (quiescence) async throws in
      #expect(try await quiescence.freeze(instance, for: .seconds(10), by: .random()) != nil)
      #expect(isFrozen && !isRecorded)
    }
  }

  @Test func aGuestThatWasThawedByOthersHasNotHeldStill() async throws {
    try await withQuiescence { (quiescence) async throws in
      let holder = SnapshotID.random()
      _ = try await quiescence.freeze(instance, for: .seconds(10), by: holder)
      _ = try fixture.hypervisorWorld.thaw(instance)
      #expect(try await !quiescence.thaw(instance, by: holder))
      #expect(!isRecorded)
    }
  }

  @Test func whenNobodyKnowsItIsThawed() async throws {
    try await withQuiescence { (quiescence) async throws in
      // It is frozen, and the answer is lost.
      fixture.faults.fail(at: "hypervisor.freeze.done")
      #expect(try await quiescence.freeze(instance, for: .seconds(10), by: .random()) != nil)
      try await until("it is thawed") { !isFrozen && !isRecorded }
    }
  }

  @Test func aThawThatFailsIsTriedUntilItSucceeds() async throws {
    try await withQuiescence { (quiescence) async throws in
      let holder = SnapshotID.random()
      _ = try await quiescence.freeze(instance, for: .seconds(10), by: holder)
      fixture.faults.fail(at: "hypervisor.thaw")
      #expect(try await !quiescence.thaw(instance, by: holder))
      #expect(isFrozen && isRecorded)
      let refused = try await quiescence.freeze(instance, for: .seconds(10), by: .random())
      #expect(refused?.contains("still being thawed") == true)
      try await until("it is tried again") { fixture.faults.reached.count { $0 == "hypervisor.thaw" } > 1 }
      fixture.faults.clear()
      try await clock.advance(by: .seconds(60), whenSleeping: 2)
      try await until("it is thawed") { !isFrozen && !isRecorded }
    }
  }

  @Test func anInstanceThatEndedIsNotThawedForEver() async throws {
    try await withQuiescence { (quiescence) async throws in
      _ = try await quiescence.freeze(instance, for: .seconds(10), by: .random())
      fixture.hypervisorWorld.shutOff(instance)
      try await clock.advance(by: .seconds(10))
      try await until("its record is gone") { !isRecorded }
    }
  }

  @Test func whatCannotBeRecordedIsNotFrozen() async throws {
    try await withQuiescence { (quiescence) async throws in
      fixture.faults.fail(at: "frozen.put")
      await #expect(throws: StorageError.self) {
        try await quiescence.freeze(instance, for: .seconds(10), by: .random())
      }
      #expect(!isFrozen)
    }
  }
}

/// A clock that goes on only when it is told to.
private final class StandingClock: Sendable {
  private struct State {
    var now = Duration.zero
    var sleepers: [UInt64: (due: Duration, continuation: CheckedContinuation<Void, any Error>)] = [:]
    var lastTicket: UInt64 = 0
  }

  private let state = Mutex(State())

  func sleep(_ duration: Duration) async throws {
    let ticket = state.withLock { state in
      state.lastTicket += 1
      return state.lastTicket
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        let outcome: Result<Void, any Error>? = state.withLock { state in
          if Task.isCancelled { return .failure(CancellationError()) }
          guard duration > .zero else { return .success(()) }
          state.sleepers[ticket] = (state.now + duration, continuation)
          return nil
        }
        if let outcome { continuation.resume(with: outcome) }
      }
    } onCancel: {
      state.withLock { $0.sleepers.removeValue(forKey: ticket) }?.continuation.resume(throwing: CancellationError())
    }
  }

  /// Moves on, once that many sleep, and wakes whose time has come.
  func advance(by duration: Duration, whenSleeping count: Int = 1) async throws {
    while state.withLock({ $0.sleepers.count }) < count { try await Task.sleep(for: .milliseconds(1)) }
    let woken = state.withLock { state in
      state.now += duration
      let due = state.sleepers.filter { $0.value.due <= state.now }
      for ticket in due.keys { state.sleepers[ticket] = nil }
      return due.values.map(\.continuation)
    }
    for continuation in woken { continuation.resume() }
  }
}
