import Foundation
import PumiceModel
import Testing

@Suite struct DiskLimitsTests {
  @Test func limitsAreReadByTheirNames() throws {
    let limits = try DiskLimits(texts: [
      "total_bytes_sec": "1048576", "read_iops_sec": "100", "read_iops_sec_max": "200",
      "read_iops_sec_max_length": "10", "write_iops_sec": "0", "size_iops_sec": "4096",
    ])
    #expect(
      limits.values == [
        .totalBytes: 1_048_576, .readOperations: 100, .readOperationsBurst: 200, .readOperationsBurstLength: 10,
        .operationSize: 4096,
      ], "What is 0 is not limited.")
  }

  @Test(arguments: [
    (["latency": "1"], "latency"), (["total_iops_sec": "many"], "total_iops_sec"),
    (["total_iops_sec": "-1"], "total_iops_sec"), (["total_iops_sec": "+1"], "total_iops_sec"),
    (["total_iops_sec": "1.5"], "total_iops_sec"), (["total_iops_sec": ""], "total_iops_sec"),
    (["total_iops_sec": "1000000000000001"], "total_iops_sec"),
    (["total_iops_sec": "99999999999999999999"], "total_iops_sec"),
    (["total_bytes_sec": "5", "write_bytes_sec": "5"], "write_bytes_sec"),
    (["read_bytes_sec_max": "5"], "read_bytes_sec_max"),
    (["read_bytes_sec": "6", "read_bytes_sec_max": "5"], "read_bytes_sec_max"),
    (["read_bytes_sec": "6", "read_bytes_sec_max_length": "5"], "read_bytes_sec_max_length"),
    (
      ["read_bytes_sec": "1", "read_bytes_sec_max": "100000000000000", "read_bytes_sec_max_length": "11"],
      "read_bytes_sec_max_length"
    ),
    (["size_iops_sec": "4096", "total_bytes_sec": "5"], "size_iops_sec"),
  ])
  func whatNoDiskCouldHaveIsRefusedByName(texts: [String: String], field: String) {
    let error = #expect(throws: StorageError.self) { try DiskLimits(texts: texts) }
    #expect(error?.code == .invalid)
    #expect(error?.field == field)
  }

  @Test func bytesAndOperationsAreLimitedApart() throws {
    let limits = try DiskLimits(texts: ["total_bytes_sec": "5", "read_iops_sec": "5", "write_iops_sec": "7"])
    #expect(limits.values.count == 3)
  }

  @Test func theyTravelAsAnObjectAndAreCheckedOnArrival() throws {
    let limits = try DiskLimits([.totalOperations: 5, .totalBytes: 7])
    let json = try JSONEncoder().encode(limits)
    #expect(try JSONDecoder().decode([String: Int].self, from: json) == ["total_iops_sec": 5, "total_bytes_sec": 7])
    #expect(try JSONDecoder().decode(DiskLimits.self, from: json) == limits)
    for bad in [#"{"total_iops_sec": -1}"#, #"{"speed": 1}"#, #"{"read_iops_sec_max": 1}"#] {
      #expect(throws: (any Error).self) { try JSONDecoder().decode(DiskLimits.self, from: Data(bad.utf8)) }
    }
  }

  @Test func theFrontEndKeepsOnlyWhatDisksCanHave() throws {
    var spec = try QoSSpec(id: .random(), name: "q", rules: ["latency": "low"], createdAt: .start)
    #expect(spec.diskLimits == nil)
    #expect(throws: StorageError.self) { try spec.set([:], consumer: .frontEnd) }
    #expect(spec.consumer == .backEnd)
    try spec.unset(["latency"])
    try spec.set(["total_iops_sec": "10", "total_iops_sec_max": "20"], consumer: .both)
    #expect(spec.diskLimits?.values == [.totalOperations: 10, .totalOperationsBurst: 20])
    #expect(throws: StorageError.self) { try spec.set(["latency": "low"]) }
    #expect(throws: StorageError.self, "The burst would be without what it bursts.") {
      try spec.unset(["total_iops_sec"])
    }
    #expect(throws: StorageError.self) { try spec.unset(["total_iops_sec_max", "nothing"]) }
    #expect(spec.rules.count == 2)
  }
}
