/// The threads on which libvirt's calls block. There for as long as the process, asleep while nothing is to do.
enum LibvirtThreads {
  /// A libvirtd serves five calls of one client at a time (`max_client_requests`); the others are for opening and
  /// waiting.
  private static let calls = BlockingThreads("libvirt", count: 8)
  private static let eventLoop = BlockingThreads("libvirt-events", count: 1)

  /// Runs a call of libvirt and returns what it gives. Throws `CancellationError` if cancelled before it began.
  static func call<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try Task.checkCancellation()
    return try await withCheckedThrowingContinuation { continuation in
      calls.submit { continuation.resume(with: Swift.Result { try body() }) }
    }
  }

  /// Begins a call of libvirt for whose end nobody waits.
  static func beginCall(_ body: @escaping @Sendable () -> Void) { calls.submit(body) }

  /// Begins the one long call that is the event loop.
  static func beginEventLoop(_ body: @escaping @Sendable () -> Void) { eventLoop.submit(body) }
}
