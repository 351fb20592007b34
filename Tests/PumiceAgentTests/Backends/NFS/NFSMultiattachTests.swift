import Conformance
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import PumiceAgent

/// A volume that several instances write to is one raw file, whatever is asked for.
@Suite(.timeLimit(.minutes(2))) struct NFSMultiattachTests {
  private let volume = VolumeID.random()
  private let snapshot = SnapshotID.random()

  @Test(arguments: [false, true]) func itGetsNoLayersAndNothingIsLeftOfTheAttempt(inUse: Bool) async throws {
    try await NFSFixture.with { fixture in
      let backend = try await fixture.open()
      #expect(backend.allowsMultiattach)
      var request = fixture.request()
      request.multiattach = true
      #expect(try await backend.ensured(volume, request).isMultiattach)
      let files = try fixture.files()

      let error = await #expect(throws: StorageError.self) {
        try await backend.ensureSnapshot(snapshot, fixture.snapshotRequest(of: volume), inUse: inUse)
      }
      #expect(error?.code == .unsupported && error?.message.contains("must stay one raw file") == true)
      let copy = VolumeID.random()
      if inUse {
        let refusal = await #expect(throws: StorageError.self) {
          try await backend.ensure(copy, fixture.request(source: .volume(volume)), VolumeUse(ofSource: true))
        }
        #expect(refusal?.code == .unsupported && refusal?.message.contains("must stay one raw file") == true)
      } else {
        _ = try await backend.ensured(copy, fixture.request(source: .volume(volume)))
        try await backend.erase(copy, pool: fixture.pool)
      }
      #expect(try fixture.files() == files)
      let image = try await backend.image(of: volume, pool: fixture.pool, inUse: inUse)
      #expect(image.layers.map(\.format) == [.raw] && image.next == nil)

      // Also for the next agent, and for an owner that forgets to say so once more.
      let next = try await fixture.open()
      #expect(try await next.ensured(volume, fixture.request(revision: 2)).isMultiattach)
      _ = try await next.remove(volume, pool: fixture.pool)
    }
  }

  @Test func imagesWithTablesAreForOne() async throws {
    try await NFSFixture.with(format: .qcow2) { fixture in
      let backend = try await fixture.open()
      #expect(!backend.allowsMultiattach)
    }
  }
}
