-- Who may do what. Nobody calls what writes but those who are told so by name: the functions that were
-- added since the last time are taken from everybody as well.
DO $$
DECLARE
    v_function regprocedure;
BEGIN
    FOR v_function IN SELECT oid::regprocedure FROM pg_proc
        WHERE pronamespace = current_schema::regnamespace AND prosecdef LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', v_function);
    END LOOP;
END $$;

-- Lets a role of gateways in: it reads, and appends to the audit log by the one function that does. It
-- is called by the owner of the tables, and again when there are new ones.
CREATE FUNCTION let_gateway_in(p_role text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- A keyword, not a role: it would let everybody in.
    IF lower(p_role) = 'public' THEN
        RAISE EXCEPTION 'public is everybody, and no role of gateways';
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema, p_role);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO %I', current_schema, p_role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION append_audit(uuid, text, text, text, text, text, text) TO %I',
                   p_role);
END $$;
REVOKE ALL ON FUNCTION let_gateway_in(text) FROM PUBLIC;
