import Foundation
import TestBed

/// A coordinator with its store on disk and an agent whose drivers are in memory.
struct MemoryFleet {
  let bed: Bed
  private let cloud: MemoryCloud

  var coordinator: CoordinatorDaemon { cloud.coordinator }
  var agent: Daemon { cloud.agent }

  var api: API { coordinator.api() }

  static func with<Result>(_ work: (MemoryFleet) async throws -> Result) async throws -> Result {
    try await Bed.with { bed in
      let fleet = try MemoryFleet(in: bed)
      try await fleet.start()
      return try await work(fleet)
    }
  }

  private init(in bed: Bed) throws {
    self.bed = bed
    cloud = try MemoryCloud(in: bed)
  }

  private func start() async throws {
    try await cloud.startDaemons()
    try await eventually("the coordinator knows the node's pool") {
      !(try await api.get("/v3/demo/scheduler-stats/get_pools")["pools"].array.isEmpty)
    }
    try await api.put(
      "/v3/demo/os-quota-sets/demo", ["quota_set": ["volumes": -1, "gigabytes": -1]])
  }

  /// Asks for volumes from several clients at once; returns each one's time from the request to `available`, which a client
  /// looks for every 15 ms: more often, and the looking is what is measured.
  func create(_ count: Int, clients: Int) async throws -> [Duration] {
    let (api, clock) = (api, ContinuousClock())
    return try await withThrowingTaskGroup(of: [Duration].self) { group in
      for client in 0..<clients {
        group.addTask {
          var times: [Duration] = []
          for number in stride(from: client, to: count, by: clients) {
            let start = clock.now
            let id = try await api.createVolume(name: "v\(number)", gibibytes: 1)
            try await eventually("volume \(id) is available", every: .milliseconds(15)) {
              try await api.volume(id)["status"].string == "available"
            }
            times.append(clock.now - start)
          }
          return times
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
  }
}
