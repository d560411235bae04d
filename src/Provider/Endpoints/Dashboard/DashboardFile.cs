using System.Security.Cryptography;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace RedisSessions.Endpoints.Dashboard;

/// <summary>A file of the dashboard's, out of this assembly. Browsers ask each time whether it has changed, and are told that it has not.</summary>
internal sealed class DashboardFile
{
    private readonly byte[] _content;
    private readonly string _contentType;
    private readonly EntityTagHeaderValue _tag;

    private DashboardFile(string name, string contentType)
    {
        Name = name;
        _contentType = contentType;
        using var resource = typeof(DashboardFile).Assembly.GetManifestResourceStream($"RedisSessions.Dashboard.{name}")
            ?? throw new InvalidOperationException($"The assembly has no file {name}.");
        _content = new byte[resource.Length];
        resource.ReadExactly(_content);
        _tag = new EntityTagHeaderValue($"\"{Convert.ToHexStringLower(SHA256.HashData(_content).AsSpan(0, 8))}\"");
    }

    public static IReadOnlyList<DashboardFile> All { get; } =
    [
        new("dashboard.css", "text/css; charset=utf-8"),
        new("dashboard.js", "text/javascript; charset=utf-8"),
        new("dashboard.svg", "image/svg+xml"),
    ];

    public string Name { get; }

    public Task SendAsync(HttpContext context)
    {
        var headers = context.Response.GetTypedHeaders();
        headers.ETag = _tag;
        headers.CacheControl = new CacheControlHeaderValue { NoCache = true, Private = true };
        context.Response.Headers[HeaderNames.XContentTypeOptions] = "nosniff";
        if (context.Request.GetTypedHeaders().IfNoneMatch.Any(tag => tag.Compare(_tag, useStrongComparison: false)))
        {
            context.Response.StatusCode = StatusCodes.Status304NotModified;
            return Task.CompletedTask;
        }

        context.Response.ContentType = _contentType;
        context.Response.ContentLength = _content.Length;
        return context.Response.Body.WriteAsync(_content, context.RequestAborted).AsTask();
    }
}
