import PumiceModel
import PumiceWire
import Synchronization

/// How badly the network behaves, in percent of calls.
struct Weather: Sendable {
  var lostRequest = 3.0
  var lostResponse = 3.0
  /// Delivered a second time, after anything from a moment to two minutes: long after what came later.
  var doubled = 5.0
  /// Delivered, but only after the caller has given up.
  var late = 3.0

  static let fair = Weather(lostRequest: 0, lostResponse: 0, doubled: 0, late: 0)
}

/// Carries calls between simulated processes: loses, delays, doubles and reorders them.
final class Network: Sendable {
  private let world: World
  private let state = Mutex(Weather())

  init(world: World) { self.world = world }

  var weather: Weather {
    get { state.withLock { $0 } }
    set { state.withLock { $0 = newValue } }
  }

  /// Makes a call on another process. `receiver` is asked anew for every delivery: it may have been restarted meanwhile.
  func call<Response: Sendable>(
    _ name: String, to receiver: @escaping @Sendable () -> (process: Process, service: any NodeAPI)?,
    _ body: @escaping @Sendable (any NodeAPI) async throws(StorageError) -> Response
  ) async throws(StorageError) -> Response {
    let weather = weather
    let inbox = Inbox<Response>()
    let isLost = world.chance(weather.lostRequest)
    let isLate = world.chance(weather.late)
    let losesResponse = world.chance(weather.lostResponse)
    let isDoubled = world.chance(weather.doubled)
    let deliver: @Sendable (Bool) -> Void = { [world] answers in
      guard let (process, service) = receiver(), process.isAlive else {
        if answers {
          inbox.put(.failure(StorageError(.unavailable, "\(name): connection refused.")))
        }
        return
      }
      process.start {
        let outcome: Result<Response, StorageError>
        do throws(StorageError) { outcome = .success(try await body(service)) } catch { outcome = .failure(error) }
        guard answers else { return }
        let back = Duration.milliseconds(world.random(1...40))
        world.at(world.now + back) { inbox.put(outcome) }
      }
    }
    if !isLost {
      let delay = isLate ? world.random(31_000...120_000) : world.random(1...60)
      world.at(world.now + .milliseconds(delay)) { deliver(!losesResponse) }
    }
    if isDoubled {
      world.at(world.now + .milliseconds(world.random(1...120_000))) { deliver(false) }
    }
    world.at(world.now + .seconds(30)) {
      inbox.put(.failure(StorageError(.timeout, "\(name): no answer within 30 s.")))
    }
    return try await inbox.take().get()
  }
}

/// One answer, of several that may come the first.
private final class Inbox<Response: Sendable>: Sendable {
  private struct State {
    var outcome: Result<Response, StorageError>?
    var reader: CheckedContinuation<Result<Response, StorageError>, Never>?
  }

  private let state = Mutex(State())

  func put(_ outcome: Result<Response, StorageError>) {
    let reader = state.withLock { state in
      guard state.outcome == nil else { return nil as CheckedContinuation<Result<Response, StorageError>, Never>? }
      state.outcome = outcome
      return state.reader
    }
    reader?.resume(returning: outcome)
  }

  func take() async -> Result<Response, StorageError> {
    await withCheckedContinuation { reader in
      let outcome = state.withLock { state in
        if state.outcome == nil { state.reader = reader }
        return state.outcome
      }
      if let outcome { reader.resume(returning: outcome) }
    }
  }
}

/// A node's agent as the coordinator sees it, over the network.
struct RemoteNode: NodeAPI {
  let name: NodeName
  let network: Network
  let receiver: @Sendable () -> (process: Process, service: any NodeAPI)?

  func report() async throws(StorageError) -> NodeReport {
    try await network.call("GET node of \(name)", to: receiver) { node throws(StorageError) in try await node.report() }
  }

  func inventory() async throws(StorageError) -> Inventory {
    try await network.call("GET inventory of \(name)", to: receiver) { node throws(StorageError) in
      try await node.inventory()
    }
  }

  func ensureVolume(_ id: VolumeID, _ request: VolumeRequest) async throws(StorageError) -> Progress {
    try await network.call("PUT volume on \(name)", to: receiver) { node throws(StorageError) in
      try await node.ensureVolume(id, request)
    }
  }

  func removeVolume(_ id: VolumeID, _ request: VolumeRemoval) async throws(StorageError) -> Progress {
    try await network.call("DELETE volume on \(name)", to: receiver) { node throws(StorageError) in
      try await node.removeVolume(id, request)
    }
  }

  func revertVolume(_ id: VolumeID, _ request: RevertRequest) async throws(StorageError) -> Progress {
    try await network.call("PUT revert on \(name)", to: receiver) { node throws(StorageError) in
      try await node.revertVolume(id, request)
    }
  }

  func ensureSnapshot(_ id: SnapshotID, _ request: SnapshotRequest) async throws(StorageError) -> Progress {
    try await network.call("PUT snapshot on \(name)", to: receiver) { node throws(StorageError) in
      try await node.ensureSnapshot(id, request)
    }
  }

  func removeSnapshot(_ id: SnapshotID, _ request: SnapshotRemoval) async throws(StorageError) -> Progress {
    try await network.call("DELETE snapshot on \(name)", to: receiver) { node throws(StorageError) in
      try await node.removeSnapshot(id, request)
    }
  }

  func ensureExport(_ id: AttachmentID, _ request: ExportRequest) async throws(StorageError) -> ExportedTarget {
    try await network.call("PUT export on \(name)", to: receiver) { node throws(StorageError) in
      try await node.ensureExport(id, request)
    }
  }

  func removeExport(_ id: AttachmentID, _ request: ExportRemoval) async throws(StorageError) {
    try await network.call("DELETE export on \(name)", to: receiver) { node throws(StorageError) in
      try await node.removeExport(id, request)
    }
  }

  func ensureConnection(
    _ id: AttachmentID, _ request: ConnectionRequest
  ) async throws(StorageError) -> ConnectedDisk {
    try await network.call("PUT connection on \(name)", to: receiver) { node throws(StorageError) in
      try await node.ensureConnection(id, request)
    }
  }

  func removeConnection(_ id: AttachmentID, _ request: ConnectionRemoval) async throws(StorageError) {
    try await network.call("DELETE connection on \(name)", to: receiver) { node throws(StorageError) in
      try await node.removeConnection(id, request)
    }
  }

  func freezeInstance(_ id: InstanceID, _ request: FreezeRequest) async throws(StorageError) -> FreezeAnswer {
    try await network.call("PUT quiescence on \(name)", to: receiver) { node throws(StorageError) in
      try await node.freezeInstance(id, request)
    }
  }

  func thawInstance(_ id: InstanceID, _ request: ThawRequest) async throws(StorageError) -> ThawAnswer {
    try await network.call("DELETE quiescence on \(name)", to: receiver) { node throws(StorageError) in
      try await node.thawInstance(id, request)
    }
  }
}
