public import PumiceAgent
public import PumiceModel
import Testing

/// Holds a hypervisor to what `QuiescingHypervisor` promises.
///
/// `instance` is a running one whose guest can be asked, and has file systems. They are as before afterwards.
public struct QuiescenceConformance: Sendable {
  let hypervisor: any QuiescingHypervisor
  let instance: InstanceID
  let stopped: InstanceID
  let isFrozen: @Sendable () async throws -> Bool

  /// - Parameters:
  ///   - stopped: An instance that does not run.
  ///   - isFrozen: Whether the guest holds still now, by its own word.
  public init(
    hypervisor: any QuiescingHypervisor, instance: InstanceID, stopped: InstanceID,
    isFrozen: @escaping @Sendable () async throws -> Bool
  ) {
    self.hypervisor = hypervisor
    self.instance = instance
    self.stopped = stopped
    self.isFrozen = isFrozen
  }

  public func check() async throws {
    let count = try await hypervisor.freeze(instance, within: .seconds(10))
    #expect(count > 0)
    #expect(try await isFrozen())

    // A second one is refused and changes nothing.
    await #expect(throws: StorageError.self) { _ = try await hypervisor.freeze(instance, within: .seconds(10)) }
    #expect(try await isFrozen())

    #expect(try await hypervisor.thaw(instance) == count)
    #expect(try await !isFrozen())
    #expect(try await hypervisor.thaw(instance) == 0)

    // Again, as often as one likes.
    #expect(try await hypervisor.freeze(instance, within: .seconds(10)) == count)
    #expect(try await hypervisor.thaw(instance) == count)

    for (other, code) in [(InstanceID.random(), StorageError.Code.notFound), (stopped, .conflict)] {
      await expect(code) { _ = try await hypervisor.freeze(other, within: .seconds(10)) }
      await expect(code) { _ = try await hypervisor.thaw(other) }
    }
  }

  private func expect(_ code: StorageError.Code, _ body: () async throws -> Void) async {
    let error = await #expect(throws: StorageError.self) { try await body() }
    #expect(error?.code == code, "\(error?.description ?? "")")
  }
}
