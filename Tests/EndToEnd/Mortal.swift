import TestBed

/// A part of a fleet that may die at any time, and is started again.
protocol Mortal: Sendable {
  func kill9() async throws
  func start() async throws
}

extension LibvirtDaemon: Mortal {}
extension TargetDaemon: Mortal {}
extension GaneshaDaemon: Mortal {}

extension CoordinatorDaemon: Mortal {
  func kill9() async throws { try await daemon.kill9() }
  func start() async throws { try await daemon.start() }
}

extension AgentDaemon: Mortal {
  func kill9() async throws { try await daemon.kill9() }
  func start() async throws { try await daemon.start() }
}

extension Mortal {
  /// Does the work while this dies so long after its beginning, and is back a moment later.
  func dying<Result: Sendable>(
    after moment: Duration, _ work: @escaping @Sendable () async throws -> Result
  ) async throws -> Result {
    async let result = work()
    try await Task.sleep(for: moment)
    try await kill9()
    try await Task.sleep(for: .milliseconds(100))
    try await start()
    return try await result
  }
}
