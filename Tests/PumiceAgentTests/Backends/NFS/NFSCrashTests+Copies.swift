import Conformance
import PumiceModel
import PumiceWire
import Synchronization
import TestBed
import Testing

@testable import PumiceAgent

/// Copies of a volume that a guest writes to: 8s until the copy's moment, and 9s from then on.
extension NFSCrashTests {
  /// Small enough that a copy takes two.
  private static let slices = ShareVolumes.Settings(slice: .zero, window: 512 << 10)

  @Test(arguments: [SharedImage.Format.raw, .qcow2]) func aCopyOfAVolumeInUseIsMadeOrNotAtAll(
    _ format: SharedImage.Format
  ) async throws {
    let guest = PaintingGuest(volume)
    try await everywhere(format, settings: Self.slices, inUse: true, atLeast: 20) { fixture, backend in
      try await prepare(guest, fixture, backend)
    } dying: { fixture, backend in
      try await copyInUse(guest, fixture, backend)
    } from: {
      $0.volumes[volume] = Self.before
    } to: {
      contentOfCopying(&$0)
    }
  }

  /// A layer is there that an earlier copy has kept apart.
  @Test func whatEarlierCopiesHaveKeptApartIsMergedUnderTheGuest() async throws {
    let guest = PaintingGuest(volume)
    try await everywhere(inUse: true, atLeast: 24) { fixture, backend in
      try await prepare(guest, fixture, backend)
      guest.isLate = false
      _ = try await backend.ensureSnapshot(first, fixture.snapshotRequest(of: volume), inUse: true)
      try await guest.goOver(fixture, backend)
      try await removeInUse(first, fixture, backend)
      try await guest.write(8, fixture)
      #expect(try fixture.description(of: volume)?.layers.count == 2)
    } dying: { fixture, backend in
      try await copyInUse(guest, fixture, backend)
      let description = try fixture.description(of: volume)
      #expect(description?.layers.count == 2, "copies must not make the chain longer")
    } from: {
      $0.volumes[volume] = Self.before
    } to: {
      contentOfCopying(&$0)
    }
  }

  /// The guest is shut down once it has gone over to the new layer, and what it has written there is the volume's alone.
  @Test func aCopyWhoseSourceIsDetachedGoesOn() async throws {
    let guest = PaintingGuest(volume)
    try await everywhere(settings: Self.slices, atLeast: 20) { fixture, backend in
      try await prepare(guest, fixture, backend)
    } dying: { fixture, backend in
      let request = fixture.request(.mebibytes(1), source: .volume(volume))
      if try await backend.volume(copy) == nil {
        try await guest.open(backend, fixture)
        try await guest.write(8, fixture)
        if case .underway(let progress) = try await backend.ensure(copy, request, VolumeUse(ofSource: true)),
          progress.awaits != nil, try fixture.description(of: volume)?.step?.pin?.copy == copy
        {
          guest.layer = try fixture.description(of: volume)?.offeredImage?.first
          try await guest.write(9, fixture)
        }
      }
      _ = try await backend.ensured(copy, request)
      while try await !backend.release(volume, pool: fixture.pool, inUse: false).isComplete {}
    } from: {
      $0.volumes[volume] = Self.before
    } to: {
      contentOfCopying(&$0)
    }
  }

  @Test func aCopyThatIsGivenUpHoldsNothingOfItsSource() async throws {
    let guest = PaintingGuest(volume)
    try await everywhere(settings: Self.slices, inUse: true, atLeast: 20) { fixture, backend in
      try await prepare(guest, fixture, backend)
    } dying: { fixture, backend in
      try await guest.write(8, fixture)
      let request = fixture.request(.mebibytes(1), source: .volume(volume))
      for _ in 0..<2 {
        guard case .underway(let progress) = try await backend.ensure(copy, request, VolumeUse(ofSource: true)),
          progress.awaits != nil
        else { continue }
        try await guest.goOver(fixture, backend)
      }
      try await backend.erase(copy, pool: fixture.pool)
      try await guest.write(9, fixture)
      while true {
        let progress = try await backend.release(volume, pool: fixture.pool, inUse: true)
        if progress.awaits != nil { try await guest.goOver(fixture, backend) }
        if progress.isComplete { break }
      }
      let description = try fixture.description(of: volume)
      #expect(description?.layers.count ?? 0 <= 2)
    } from: {
      $0.volumes[volume] = Self.before
    } to: {
      $0.volumes[volume] = Self.after
    }
  }

  // MARK: Parts

  private static let before = PaintedContent.bytes((2, 8), (6, 1), (8, 0))
  private static let after = PaintedContent.bytes((2, 9), (6, 1), (8, 0))

  private func contentOfCopying(_ content: inout PaintedContent) {
    content.volumes[copy] = Self.before
    content.volumes[volume] = Self.after
  }

  private func prepare(_ guest: PaintingGuest, _ fixture: NFSFixture, _ backend: NFSBackend) async throws {
    try await make(fixture, backend)
    try await guest.open(backend, fixture)
    try await guest.write(8, fixture)
  }

  /// As coordinator and hypervisor do it together. The guest writes 9s as soon as it has gone over to what is offered for this copy.
  private func copyInUse(_ guest: PaintingGuest, _ fixture: NFSFixture, _ backend: NFSBackend) async throws {
    let request = fixture.request(.mebibytes(1), source: .volume(volume))
    if try await backend.volume(copy) == nil { try await guest.write(8, fixture) }
    for _ in 0..<30 {
      guard case .underway(let progress) = try await backend.ensure(copy, request, VolumeUse(ofSource: true)) else {
        try await guest.write(9, fixture)
        for _ in 0..<10 {
          let progress = try await backend.release(volume, pool: fixture.pool, inUse: true)
          if progress.awaits != nil { try await guest.goOver(fixture, backend) }
          if progress.isComplete { return }
        }
        throw TestBedFailure("The release of \(volume) does not end.")
      }
      guard progress.awaits != nil else { continue }
      guest.isLate = try fixture.isWaiting(copy, for: volume)
      try await guest.goOver(fixture, backend)
    }
    throw TestBedFailure("The copy of \(volume) does not end.")
  }
}

/// A guest that has a volume open, whatever becomes of the agent.
final class PaintingGuest {
  let volume: VolumeID
  /// What it writes to.
  var layer: SharedImage.Layer?
  /// Whether it writes 9s when it has gone over.
  var isLate = false

  init(_ volume: VolumeID) { self.volume = volume }

  func open(_ backend: NFSBackend, _ fixture: NFSFixture) async throws {
    layer = try await backend.image(of: volume, pool: fixture.pool, inUse: false).layers[0]
    isLate = false
  }

  func write(_ byte: UInt8, _ fixture: NFSFixture) async throws {
    guard let layer else { throw TestBedFailure("The guest has no volume.") }
    try await fixture.paint(byte, 0..<2, layer.name, layer.format)
  }

  /// Does what is offered, and says so.
  func goOver(_ fixture: NFSFixture, _ backend: NFSBackend) async throws {
    let image = try await backend.image(of: volume, pool: fixture.pool, inUse: true)
    guard let next = image.next, let generation = try fixture.description(of: volume)?.generation else { return }
    try await fixture.merge(volume)
    layer = next[0]
    if isLate { try await write(9, fixture) }
    try await backend.adopt(volume, pool: fixture.pool, generation: generation)
  }
}

extension NFSFixture {
  /// Whether what is offered to the volume's users is for the copy as it is being made now.
  func isWaiting(_ copy: VolumeID, for volume: VolumeID) throws -> Bool {
    guard let pin = try description(of: volume)?.step?.pin, pin.copy == copy else { return false }
    return try description(of: copy)?.active == pin.file
  }
}

extension NFSVolume.Step {
  var pin: NFSVolume.Pin? { if case .pin(_, let pin) = self { pin } else { nil } }
}
