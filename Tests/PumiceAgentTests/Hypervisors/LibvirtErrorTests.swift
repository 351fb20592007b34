import CLibvirt
import PumiceModel
import Testing

@testable import PumiceAgent

@Suite struct LibvirtErrorTests {
  @Test(arguments: [
    (VIR_ERR_NO_DOMAIN, VIR_FROM_QEMU, "Domain not found", StorageError.Code.notFound),
    (VIR_ERR_SYSTEM_ERROR, VIR_FROM_RPC, "Cannot recv data: Connection reset by peer", .unavailable),
    (VIR_ERR_INTERNAL_ERROR, VIR_FROM_RPC, "client socket is closed", .unavailable),
    (VIR_ERR_OPERATION_TIMEOUT, VIR_FROM_QEMU, "cannot acquire state change lock", .timeout),
    (VIR_ERR_ACCESS_DENIED, VIR_FROM_ACCESS, "access denied", .forbidden),
    (VIR_ERR_OPERATION_INVALID, VIR_FROM_QEMU, "domain is not running", .conflict),
    (VIR_ERR_XML_ERROR, VIR_FROM_DOMAIN, "non unique alias detected: ua-1", .conflict),
    (VIR_ERR_OPERATION_FAILED, VIR_FROM_QEMU, "target vdb already exists", .conflict),
    (VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_QEMU, "disk type 'x' is not supported", .unsupported),
    (VIR_ERR_INTERNAL_ERROR, VIR_FROM_QEMU, "unable to execute QEMU command 'blockdev-add'", .failed),
    (VIR_ERR_OPERATION_UNSUPPORTED, VIR_FROM_QEMU, "disk 'vda' already in active block job", .inUse),
    (
      VIR_ERR_INTERNAL_ERROR, VIR_FROM_QEMU,
      "unable to execute QEMU command 'block_resize': Device '(null)' is in use", .inUse
    ),
    (
      VIR_ERR_INTERNAL_ERROR, VIR_FROM_QEMU,
      "unable to execute QEMU command 'device_del': Device ua-1 is already in the process of unplug", .timeout
    ),
  ])
  func codesAreOurs(code: virErrorNumber, domain: virErrorDomain, message: String, expected: StorageError.Code) {
    let error = LibvirtError(code: code, domain: domain, message: message).storageError("Trying it")
    #expect(error.code == expected)
    #expect(error.message == "Trying it failed: \(message).")
  }

  @Test func whatIsNotThereIsAbsent() {
    for (code, message) in [
      (VIR_ERR_NO_SECRET, "Secret not found"), (VIR_ERR_DEVICE_MISSING, "device not found"),
      (VIR_ERR_INTERNAL_ERROR, "no device found with alias ua-1"),
      (VIR_ERR_OPERATION_FAILED, "unable to execute QEMU command 'device_del': Device 'ua-1' not found"),
      (VIR_ERR_INVALID_ARG, "invalid argument: disk 'vda' not found in domain"),
    ] {
      #expect(LibvirtError(code: code, message: message).isAbsence, "\(message)")
    }
    #expect(!LibvirtError(code: VIR_ERR_RPC, message: "connection not found").isAbsence)
    #expect(!LibvirtError(code: VIR_ERR_INTERNAL_ERROR, message: "monitor is gone").isAbsence)
    #expect(!LibvirtError(code: VIR_ERR_INVALID_ARG, message: "invalid argument: unsupported flags").isAbsence)
  }

  @Test func nobodyListeningIsUnavailable() async throws {
    let socket = "/nonexistent/libvirt-sock"
    let hypervisor = LibvirtHypervisor(uri: "qemu:///system?socket=\(socket)", logger: .silent)
    let error = await #expect(throws: StorageError.self) { try await hypervisor.instances() }
    #expect(error?.code == .unavailable)
    #expect(error?.message.contains(socket) == true, "\(error?.message ?? "")")
  }
}
