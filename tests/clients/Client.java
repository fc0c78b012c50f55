import java.net.HttpURLConnection;
import java.net.URI;
import java.net.URL;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.util.Base64;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509ExtendedTrustManager;

/** Creates clusters with both of Java's HTTP clients, taking any certificate: java Client.java USER PASSWORD URL... */
public class Client {
    static final class TrustsAll extends X509ExtendedTrustManager {
        public void checkClientTrusted(X509Certificate[] chain, String type) {}
        public void checkServerTrusted(X509Certificate[] chain, String type) {}
        public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket) {}
        public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket) {}
        public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}
        public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}
        public X509Certificate[] getAcceptedIssuers() { return new X509Certificate[0]; }
    }

    static HttpClient client;
    static String login;

    public static void main(String[] words) throws Exception {
        SSLContext tls = SSLContext.getInstance("TLS");
        tls.init(null, new TrustManager[] {new TrustsAll()}, new SecureRandom());
        HttpsURLConnection.setDefaultSSLSocketFactory(tls.getSocketFactory());
        HttpsURLConnection.setDefaultHostnameVerifier((host, session) -> true);
        // As it comes: it would rather speak HTTP/2, and offers so with TLS and without.
        client = HttpClient.newBuilder().sslContext(tls).build();
        login = "Basic " + Base64.getEncoder().encodeToString((words[0] + ":" + words[1]).getBytes(StandardCharsets.UTF_8));
        String body = "{\"cluster\":{\"name\":\"java.test\"},\"credentials\":{\"username\":\"" + words[0]
                + "\",\"password\":\"" + words[1] + "\"}}";
        for (int index = 2; index < words.length; index++) {
            create(words[index], body, index % 2 == 0);
        }
    }

    static void create(String url, String body, boolean withOld) throws Exception {
        waitFor(url, "\"state\":\"idle\"");
        String create = url + "/v1/bootstrap/create_cluster";
        int status = withOld ? postOld(create, body) : post(create, body).statusCode();
        demand(status == 200, "create: " + status);
        waitFor(url, "\"state\":\"completed\"");
        demand(postOld(create, body) == 409, "the old client's second post");
        HttpResponse<String> again = post(create, body);
        demand(again.statusCode() == 409 && again.body().contains("already"), "again: " + again.body());
        System.out.println(get(url + "/v1/nodes").body().contains("\"status\":\"active\"") + " " + again.version());
    }

    static void waitFor(String url, String what) throws Exception {
        while (!get(url + "/v1/bootstrap").body().contains(what)) {
            Thread.sleep(50);
        }
    }

    static HttpResponse<String> get(String url) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url)).header("Authorization", login).build();
        return client.send(request, BodyHandlers.ofString());
    }

    static HttpResponse<String> post(String url, String body) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url)).header("Authorization", login)
                .header("Content-Type", "application/json").POST(BodyPublishers.ofString(body)).build();
        return client.send(request, BodyHandlers.ofString());
    }

    /** The client of Java 1.1, which says that a body is a form where nobody says otherwise. */
    static int postOld(String url, String body) throws Exception {
        HttpURLConnection connection = (HttpURLConnection) new URL(url).openConnection();
        connection.setRequestMethod("POST");
        connection.setRequestProperty("Authorization", login);
        connection.setDoOutput(true);
        connection.getOutputStream().write(body.getBytes(StandardCharsets.UTF_8));
        return connection.getResponseCode();
    }

    static void demand(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }
}
