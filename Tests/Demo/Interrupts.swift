@preconcurrency import Dispatch
import Foundation

/// The signals that ask this process to end.
struct Interrupts: Sendable {
  private let signals: AsyncStream<Int32>

  /// From now on they don't end the process by themselves.
  init(_ numbers: [Int32]) {
    let (stream, continuation) = AsyncStream.makeStream(of: Int32.self)
    signals = stream
    let sources = numbers.map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { continuation.yield(number) }
      source.resume()
      return source
    }
    continuation.onTermination = { _ in for source in sources { source.cancel() } }
  }

  /// Waits for the first of them and returns the exit status that tells of it; `nil` when cancelled.
  func first() async -> Int32? {
    for await number in signals { return 128 + number }
    return nil
  }
}
