import Conformance
import PumiceModel
import TestBed
import Testing

@testable import PumiceAgent

extension LibvirtHypervisorTests {
  /// Layers under a guest that writes all the while. Against a real libvirtd and QEMU; needs root, ganesha and qemu-img.
  @Suite(.timeLimit(.minutes(10))) struct Layers {
    @Test func imagesOnNFSGetAndLoseLayersUnderAGuestThatWrites() async throws {
      try await Bed.with { bed in
        let folder = try bed.folder.folder("export")
        let server = try GaneshaDaemon(in: bed, exports: [.init(path: folder)])
        try await server.start()
        try await withYard(in: bed, folder) { name in
          .nfs(host: server.address, path: "\(folder)/\(name)", user: 0, group: 0)
        } _: { yard in
          let disk = try await yard.layersComeAndGoWhileTheGuestWrites()
          try await yard.anInterruptedCallIsCompleted(disk)
          try await yard.whatIsNotAStepChangesNothing(disk)
          try await yard.aMergeThatTakesLongIsFoundAgain(disk)
          let evil = try await yard.aHeaderThatAGuestWroteIsNotBelieved()
          try await yard.aShutOffInstanceStartsWithItsLayers(disk, evil)
        }
      }
    }

    @Test func imagesInAFolderGetAndLoseLayersUnderAGuestThatWrites() async throws {
      try await Bed.with { bed in
        let folder = try bed.folder.folder("images")
        try await withYard(in: bed, folder) {
          .file(path: "\(folder)/\($0)")
        } _: { yard in
          let disk = try await yard.layersComeAndGoWhileTheGuestWrites()
          try await yard.anInterruptedCallIsCompleted(disk)
          try await yard.aMergeThatTakesLongIsFoundAgain(disk)
          try await yard.aLayerThatLibvirtForgotIsNotForgotten(disk)
          try await yard.aDiskWithALayerThatLibvirtForgotIsLetGo()
          try await yard.aMergeThatLibvirtForgotIsNotForgotten()
          try await yard.thePortsPromisesAreKept()
          let full = try await bed.makeFileSystem("tmpfs", mebibytes: 4)
          try await yard.aMergeThatFailsSaysWhyAndCanBeRepeated(full)
          try await yard.aGuestPausedOverAnErrorGetsNoLayer(full)
          try await yard.aTransientInstanceHasItsLayersLiveOnly()
        }
      }
    }

    private func withYard(
      in bed: Bed, _ folder: String, place: @escaping @Sendable (String) -> DiskImage.Place,
      _ body: (LayerYard) async throws -> Void
    ) async throws {
      let libvirt = try LibvirtDaemon(in: bed)
      try await libvirt.start()
      let guest = Guest(image: try await .prepare(in: bed), libvirt: libvirt, in: bed)
      try await guest.start()
      let hypervisor = LibvirtHypervisor(uri: libvirt.uri, removalTimeout: .seconds(20), logger: .silent)
      try await body(
        LayerYard(bed: bed, libvirt: libvirt, guest: guest, hypervisor: hypervisor, folder: folder, place: place))
    }
  }
}
