using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace RedisSessions.Tests.Infrastructure;

/// <summary>Spoken to in TLS.</summary>
public sealed class TlsRedis : LocalRedis
{
    protected override string Name => "Redis, TLS";

    // By which StackExchange.Redis learns of an issuer that the machine does not know, for a connection string cannot say it.
    private const string IssuerVariable = "SERedis_IssuerCertPath";

    private DirectoryInfo? _folder;
    private int _port;

    protected override Task<RedisProcess> StartServersAsync()
    {
        _folder = Directory.CreateTempSubdirectory("redis-tls-");
        var (issuer, certificate, key) = WriteCertificates(_folder.FullName);
        Environment.SetEnvironmentVariable(IssuerVariable, issuer);
        _port = EmbeddedGarnet.FreePort();
        return RedisProcess.StartAsync(
            "--tls-port", $"{_port}", "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", issuer, "--tls-auth-clients", "no");
    }

    protected override string AddressOf(RedisProcess servers) => $"127.0.0.1:{_port},ssl=true,sslHost=localhost";

    private static (string Issuer, string Certificate, string Key) WriteCertificates(string folder)
    {
        var (from, until) = (DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(2));
        using var issuerKey = RSA.Create(2048);
        var request = new CertificateRequest("CN=issuer", issuerKey, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, 0, critical: true));
        using var issuer = request.CreateSelfSigned(from, until);
        using var key = RSA.Create(2048);
        var own = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        own.CertificateExtensions.Add(names.Build());
        using var certificate = own.Create(issuer, from, until, [1, 2, 3, 4]);
        return (Write("issuer.pem", issuer.ExportCertificatePem()), Write("server.pem", certificate.ExportCertificatePem()), Write("server.key", key.ExportPkcs8PrivateKeyPem()));

        string Write(string name, string text)
        {
            var path = Path.Combine(folder, name);
            File.WriteAllText(path, text);
            return path;
        }
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _folder?.Delete(recursive: true);
    }
}
