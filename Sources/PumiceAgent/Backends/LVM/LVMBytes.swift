import PumiceModel
import PumiceWire
import Synchronization

/// Long work on the bytes of logical volumes, in slices: how far each has come, and at what pace all of it goes.
final class LVMBytes: Sendable {
  /// How far, and when the logical volume's tags last said so.
  struct Position: Sendable {
    var bytes: Int64
    var noted: ContinuousClock.Instant
  }

  private struct State {
    var positions: [String: Position] = [:]
    /// When the next step may begin, to keep to the bandwidth.
    var nextStep = ContinuousClock.now
    var asked: [String: ContinuousClock.Instant] = [:]
  }

  private static let firstStep: Int64 = 4 << 20
  private static let longestStep: Int64 = 64 << 20
  private static let pleasantStep = Duration.milliseconds(250)

  private let start = ContinuousClock.now
  private let slice: Duration
  private let bandwidth: ByteCount?
  private let state = Mutex(State())
  private let turns = KeyedLock<String>()

  /// - Parameters:
  ///   - slice: How long one call goes on.
  ///   - bandwidth: Bytes a second for all together.
  init(slice: Duration = .seconds(2), bandwidth: ByteCount? = nil) {
    self.slice = slice
    self.bandwidth = bandwidth
  }

  /// How far a logical volume has come; what its tags say counts for one that is not known yet.
  func position(of name: String, noted: ByteCount) -> Int64 {
    state.withLock { $0.positions[name]?.bytes ?? noted.bytes }
  }

  func set(_ name: String, _ bytes: Int64) {
    state.withLock { $0.positions[name] = Position(bytes: bytes, noted: .now) }
  }

  func forget(_ name: String) {
    state.withLock {
      $0.positions[name] = nil
      $0.asked[name] = nil
    }
  }

  /// Notes that somebody asks for the work, so that the agent need not go on with it by itself.
  func ask(_ name: String) { state.withLock { $0.asked[name] = .now } }

  func wasAsked(_ name: String, within duration: Duration) -> Bool {
    state.withLock { $0.asked[name].map { $0.duration(to: .now) < duration } ?? false }
  }

  /// The same, where the start of the agent counts as asking.
  func mayBeAsked(_ name: String, within duration: Duration) -> Bool {
    wasAsked(name, within: duration) || start.duration(to: .now) < duration
  }

  /// Whether the position should be written down now: seldom, since each note is a change of the group.
  func shouldNote(_ name: String, every interval: Duration) -> Bool {
    state.withLock { $0.positions[name].map { $0.noted.duration(to: .now) >= interval } ?? false }
  }

  func wasNoted(_ name: String) { state.withLock { $0.positions[name]?.noted = .now } }

  /// Runs steps from where the work stands, for as long as a slice lasts. Returns how far it is then. One slice at a time is
  /// done for a name.
  func advance(
    _ name: String, from noted: ByteCount, to end: Int64,
    _ step: (Range<Int64>) async throws(StorageError) -> Void
  ) async throws(StorageError) -> Int64 {
    try await turns.withLock(name) { () async throws(StorageError) in
      let start = ContinuousClock.now
      var position = position(of: name, noted: noted)
      var length = Self.firstStep
      while position < end {
        let range = position..<min(end, position + length)
        guard let pause = reserve(Int64(range.count), until: start.advanced(by: slice)) else { break }
        if pause > .zero {
          do { try await Task.sleep(for: pause) } catch { throw StorageError.wrap(error, "Work on \(name)") }
        }
        let begun = ContinuousClock.now
        try await step(range)
        position = range.upperBound
        let reached = position
        state.withLock { state in
          let noted = state.positions[name]?.noted ?? .now
          state.positions[name] = Position(bytes: reached, noted: noted)
        }
        if start.duration(to: .now) >= slice { break }
        if begun.duration(to: .now) < Self.pleasantStep { length = min(length * 2, Self.longestStep) }
      }
      return position
    }
  }

  /// When a step of so many bytes may begin; `nil` when that is after the deadline.
  private func reserve(_ bytes: Int64, until deadline: ContinuousClock.Instant) -> Duration? {
    guard let bandwidth else { return .zero }
    return state.withLock { state in
      let begin = max(.now, state.nextStep)
      guard begin <= deadline else { return nil }
      state.nextStep = begin.advanced(by: .seconds(Double(bytes) / Double(bandwidth.bytes)))
      return ContinuousClock.now.duration(to: begin)
    }
  }
}
