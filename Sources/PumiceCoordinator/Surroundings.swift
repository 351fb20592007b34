import FoundationEssentials
public import PumiceModel
import Synchronization

/// What the coordinator gets from outside, so that a test can hand in its own: time and dice.
public struct Surroundings: Sendable {
  public let now: @Sendable () -> Timestamp
  /// Returns early, by throwing, when the task is cancelled.
  public let sleep: @Sendable (Duration) async throws -> Void
  private let dice: Dice

  public init(
    now: @escaping @Sendable () -> Timestamp,
    sleep: @escaping @Sendable (Duration) async throws -> Void,
    dice: some RandomNumberGenerator & Sendable
  ) {
    self.now = now
    self.sleep = sleep
    self.dice = Dice(dice)
  }

  /// The wall clock, the system's timers and its random numbers.
  public static func system() -> Self {
    Self(
      now: {
        Timestamp(milliseconds: Int64(Date.now.timeIntervalSince1970 * 1000))
      },
      sleep: { try await Task.sleep(for: $0) },
      dice: SystemRandomNumberGenerator())
  }

  public func newID<Kind>(_ kind: Kind.Type = Kind.self) -> Identifier<Kind> {
    var generator = Generator(dice: dice)
    return Identifier(using: &generator)
  }

  public func roll() -> UInt64 { dice.roll() }

  private struct Generator: RandomNumberGenerator {
    let dice: Dice
    func next() -> UInt64 { dice.roll() }
  }

  private final class Dice: Sendable {
    private let generator: Mutex<any RandomNumberGenerator & Sendable>

    init(_ generator: some RandomNumberGenerator & Sendable) {
      self.generator = Mutex(generator)
    }

    func roll() -> UInt64 { generator.withLock { $0.next() } }
  }
}
