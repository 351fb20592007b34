import PumiceModel
import Testing

@testable import PumiceAgent

@Suite struct RevisionGateTests {
  private let export = Resource.export(.random())

  @Test func anOlderRevisionIsStale() throws {
    let gate = RevisionGate()
    try gate.admit(export, 3, recorded: nil)
    try gate.admit(export, 3, recorded: nil)
    let error = #expect(throws: StorageError.self) { try gate.admit(export, 2, recorded: nil) }
    #expect(error?.code == .stale)
    try gate.admit(export, 4, recorded: nil)
  }

  @Test func aRecordedRevisionCountsWithoutAnyMemory() {
    let error = #expect(throws: StorageError.self) { try RevisionGate().admit(export, 2, recorded: 3) }
    #expect(error?.code == .stale)
  }

  @Test func poolsOfOneVolumeAreDifferentResources() throws {
    let (gate, volume) = (RevisionGate(), VolumeID.random())
    try gate.admit(.volume(volume, backend: "a", pool: "p"), 9, recorded: nil)
    try gate.admit(.volume(volume, backend: "b", pool: "p"), 2, recorded: nil)
  }

  @Test func memoryIsBoundedAndKeepsTheLatest() throws {
    let gate = RevisionGate(generationSize: 10)
    let resources = (0..<25).map { _ in Resource.connection(.random()) }
    for resource in resources { try gate.admit(resource, 5, recorded: nil) }
    try gate.admit(resources[0], 1, recorded: nil)
    for resource in resources.suffix(10) {
      #expect(throws: StorageError.self) { try gate.admit(resource, 1, recorded: nil) }
    }
  }
}
